// The `dns` section: where the proxy answers the names that agents ask for.
import * as z from 'zod'
import { listenAddress } from '../capture/settings.ts'

export const dnsSchema = z.strictObject({
  listen: z
    .array(listenAddress)
    .min(1, 'name at least one address')
    .superRefine((addresses, context) => {
      for (const [index, address] of addresses.entries()) {
        const fits = address.kind === 'tcp' && (address.host === '127.0.0.1' || address.host === '::1')
        // Bound to all addresses, an answer would come from another one than was asked.
        const message = 'DNS is answered on 127.0.0.1 and ::1 only'
        if (!fits) context.addIssue({ code: 'custom', path: [index], message })
      }
    })
    .describe(
      'Addresses such as `127.0.0.1:15053` and `[::1]:15053`, to which the rules of `postern capture install` turn DNS round.',
    ),
})

export type DnsSettings = z.output<typeof dnsSchema>
