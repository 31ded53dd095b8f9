// The `destinations` and `resolve` sections: places that requests may be sent to, and names answered from the configuration.
import { isIP, isIPv6 } from 'node:net'
import { domainToASCII } from 'node:url'
import * as z from 'zod'
import { addressRange, type Reading, readAddress, readBy } from '../config/addresses.ts'
import { duration, filePath, secretReference, spiffeId } from '../config/scalars.ts'

const label = /^(?!-)[a-z0-9_-]{1,63}$/
// What ends in a number is an address in some notation (WHATWG URL, "ends in a number"); only the plain one is accepted.
const endsInNumber = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/

function readHost(text: string): Reading {
  const url = /^[a-z][a-z0-9+.-]*:\/\/([^/?#:[]+)/i.exec(text)
  if (url !== null) return { wrong: 'a host is named without scheme and path', nearest: url[1] }
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text
  if (isIPv6(bare)) return readAddress(bare)
  const colon = text.indexOf(':')
  if (colon !== -1) {
    return {
      wrong: 'a host is named without its port, which goes into `ports`',
      nearest: text.slice(0, colon) || undefined,
    }
  }
  if (/[%/\\?#@\s]/.test(text)) return { wrong: 'not a host name' }
  return readName(text)
}

function readName(text: string): Reading {
  const written = text.replace(/\.$/, '').toLowerCase()
  const host = domainToASCII(written)
  if (endsInNumber.test(written) || endsInNumber.test(host)) {
    return written === host ? { value: host } : { wrong: 'an address is written in plain dotted decimal' }
  }
  if (host === '' || host.length > 253 || !host.split('.').every((part) => label.test(part))) {
    return { wrong: 'not a host name' }
  }
  return { value: host }
}

function readPattern(text: string): Reading {
  if (text === '*' || text === '*.') {
    return { wrong: 'a destination names its hosts; there is no pattern for all of them', nearest: '*.example.com' }
  }
  if (!text.startsWith('*.')) {
    return text.includes('*') ? { wrong: 'a `*` stands only in front, as in *.example.com' } : readHost(text)
  }
  const suffix = text.slice(2)
  if (suffix.includes('*')) return { wrong: 'a `*` stands only once, in front' }
  const host = readHost(suffix)
  if ('value' in host)
    return isIP(host.value) === 0 ? { value: `*.${host.value}` } : { wrong: 'an address has no names below it' }
  return { ...host, nearest: host.nearest === undefined ? undefined : `*.${host.nearest}` }
}

const distinct = <Item>(items: readonly Item[]) => new Set(items).size === items.length

const port = z.int().min(1).max(65_535)

const timeoutsSchema = z.strictObject({
  connect: duration.prefault('10s').describe('Until the connection stands, TLS included.'),
  headers: duration.prefault('60s').describe('From the end of the request until the head of the answer.'),
  idle: duration.prefault('5m').describe('Without a byte in either direction, while a body or a tunnel is open.'),
})

const defaultPorts = { https: [443], http: [80], opaque: [] } as const

/** One entry of `destinations`, without its name; `ca` holds paths here, which the loader replaces by what they contain. */
export const destinationSchema = z
  .strictObject({
    hosts: z
      .array(z.string().transform(readBy(readPattern)))
      .min(1, 'a destination names at least one host; empty means nowhere')
      .refine(distinct, 'a host stands twice')
      .describe('Exact names, `*.suffix` for any number of labels below it, or IP addresses.'),
    protocol: z
      .enum(['https', 'http', 'opaque'])
      .default('https')
      .describe(
        '`opaque` passes bytes unseen: no paths, no credentials, no scanning. `http` carries credentials only to this machine.',
      ),
    ports: z
      .array(port)
      .min(1, 'a destination has at least one port')
      .refine(distinct, 'a port stands twice')
      .optional()
      .describe('Default: 443 for `https`, 80 for `http`; `opaque` must say.'),
    addresses: z
      .array(addressRange)
      .default([])
      .describe(
        'Private and other special-purpose ranges that are meant; public addresses need no mention. A metadata address must be listed by itself.',
      ),
    ca: z.array(filePath).default([]).describe('PEM files of certification authorities, besides those of the system.'),
    clientCertificate: z
      .union([
        z.literal('svid').describe('The X509-SVID of the proxy, from `identity`.'),
        z.strictObject({
          certificate: filePath.describe(
            'PEM of the certificate and what leads to its root. Read again when it changes.',
          ),
          key: secretReference.describe('PEM of its private key.'),
        }),
      ])
      .optional()
      .describe(
        'What to show when the host asks for a certificate: `svid`, or a certificate from files. Connections are made anew when it changes; without one that is valid nothing is sent.',
      ),
    spiffeId: spiffeId
      .optional()
      .describe(
        'The workload that the host must prove to be, by its X509-SVID and the bundle of its trust domain, which is of `identity` or `federation`. Neither its name nor any certification authority counts then.',
      ),
    echo: z
      .enum(['redact', 'block', 'trusted-echo'])
      .default('redact')
      .describe(
        'When the answer gives the credential back: blank it, end the answer, or let it pass and look no further.',
      ),
    timeouts: timeoutsSchema.prefault({}).describe('How long to wait for the host.'),
  })
  .superRefine((destination, context) => {
    const { protocol, ports, ca, clientCertificate, spiffeId } = destination
    const wrong = (key: keyof typeof destination, message: string) =>
      context.addIssue({ code: 'custom', path: [key], message })
    if (protocol === 'opaque' && ports === undefined) wrong('ports', 'an opaque destination names its ports')
    const why =
      protocol === 'opaque' ? 'TLS is the agent’s own where a destination is opaque' : 'there is no TLS over http'
    if (protocol !== 'https' && clientCertificate !== undefined) wrong('clientCertificate', why)
    if (protocol !== 'https' && spiffeId !== undefined) wrong('spiffeId', why)
    if (spiffeId !== undefined && ca.length > 0)
      wrong('ca', 'has no effect beside `spiffeId`, which is verified against the bundle of its trust domain')
  })
  .transform((destination) => ({ ...destination, ports: destination.ports ?? [...defaultPorts[destination.protocol]] }))

/** `resolve`: host → addresses, asked instead of DNS. The guard looks at the answers all the same. */
export const resolveSchema = z.record(
  z.string().transform(readBy(readHost)),
  z.array(z.string().transform(readBy(readAddress))).min(1, 'a name needs at least one address'),
)
