// The sections `records` and `admin` of the configuration.
import { isIP } from 'node:net'
import * as z from 'zod'
import { duration, filePath, secretReference } from '../config/scalars.ts'

/** `host:port` or `[host]:port`, the host an address of this machine. */
const listenAddress = z
  .string()
  .regex(
    /^(\[[0-9A-Fa-f:.]+\]|[0-9.]+|localhost):\d{1,5}$/,
    'an address with its port, such as 127.0.0.1:15020 or [::]:15020',
  )
  .transform((text, context) => {
    const colon = text.lastIndexOf(':')
    const host = text.slice(0, colon).replace(/^\[|\]$/g, '')
    const port = Number(text.slice(colon + 1))
    if (port > 65_535) context.addIssue({ code: 'custom', message: 'a port is at most 65535' })
    if (host !== 'localhost' && isIP(host) === 0) context.addIssue({ code: 'custom', message: 'not an address' })
    return { host, port }
  })

const checkpointSchema = z
  .strictObject({
    records: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(1_000)
      .describe('After so many lines a checkpoint is written, a signed line that vouches for all before it.'),
    every: duration
      .refine((milliseconds) => milliseconds >= 1_000 && milliseconds <= 86_400_000, 'from 1s to 1d')
      .prefault('1m')
      .describe('And after so much time, when there were lines since the one before. From 1s to 1d.'),
  })
  .describe('How often the trail is signed, by the own SVID, or without `identity` by a key of this process.')

const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/
const isCleartext = ({ protocol, hostname }: URL) => protocol === 'http:' && !loopback.test(hostname)

const otlpSchema = z
  .strictObject({
    endpoint: z
      .url({ protocol: /^https?$/ })
      .describe('Where logs are posted as JSON (OTLP/HTTP), such as http://127.0.0.1:4318/v1/logs.'),
    headers: z
      .record(z.string().regex(/^[A-Za-z0-9-]+$/, 'a header name'), secretReference)
      .default({})
      .describe('Sent along, such as `authorization`; each value is a reference to a secret.'),
  })
  .refine(({ endpoint, headers }) => Object.keys(headers).length === 0 || !isCleartext(new URL(endpoint)), {
    path: ['endpoint'],
    message: 'headers that hold secrets go over https, or to this machine',
  })
  .describe(
    'A collector that gets a copy of each line. It never holds up a request; what it cannot take is dropped and counted.',
  )

export const recordsSchema = z
  .strictObject({
    to: z
      .union([
        z.literal('stdout'),
        filePath.regex(/\//, 'stdout, or a path with a slash in it').meta({ format: 'path' }),
      ])
      .default('stdout')
      .describe('`stdout`, or the path of a file. It is made for us alone (0600) and followed when it is rotated.'),
    durability: z
      .enum(['buffered', 'intent'])
      .default('buffered')
      .describe(
        '`buffered`: records are written within 50 ms, and the last ones are lost when the process is killed. `intent`: before a request leaves, a record of it is on the disk, or, on standard output, with the kernel.',
      ),
    whenFull: z
      .enum(['refuse', 'drop'])
      .default('refuse')
      .describe(
        'While records cannot be written: `refuse` every request that would carry a credential, or `drop` records and go on. Denying goes on either way.',
      ),
    fingerprintKey: secretReference
      .optional()
      .describe(
        'Key of the fingerprints in records, at least 32 characters. Without it a new one is made at each start, and fingerprints can be compared within one run only.',
      ),
    checkpoint: checkpointSchema.prefault({}),
    otlp: otlpSchema.optional(),
  })
  .describe('What is written down, and where.')

export const adminSchema = z
  .strictObject({
    socket: filePath
      .optional()
      .describe('UNIX socket for `postern` commands. Only the user that runs the proxy, and root, may use it.'),
    metrics: listenAddress
      .optional()
      .describe('Where /livez, /readyz and /metrics answer. They change nothing; rule names are visible in /metrics.'),
    hosts: z
      .array(z.string().regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, 'a host name in lower case'))
      .default([])
      .describe('Names under which the metrics port may be asked, besides addresses and localhost. Empty: none.'),
  })
  .describe('How Postern itself is watched and steered.')

export type RecordsSettings = z.infer<typeof recordsSchema>
