// PEM (RFC 7468): certificates and keys to text and back.

export interface PemBlock {
  /** Such as `CERTIFICATE` or `PRIVATE KEY`. */
  readonly label: string
  readonly der: Uint8Array
}

export class PemError extends Error {
  override readonly name = 'PemError'
}

const begin = '-----BEGIN '
const dashes = '-----'
const base64 = /^[A-Za-z0-9+/]+={0,2}$/

/**
 * Every block of a text, in order. What stands between the blocks is passed over, as in the bundles of systems.
 * @throws PemError when a block does not end or holds anything but base64 (a key under a passphrase, say)
 */
export function pemBlocks(text: string): readonly PemBlock[] {
  const blocks: PemBlock[] = []
  for (let at = text.indexOf(begin); at !== -1; at = text.indexOf(begin, at)) {
    const labelStart = at + begin.length
    const labelEnd = text.indexOf(dashes, labelStart)
    const label = text.slice(labelStart, Math.max(labelStart, labelEnd))
    const end = labelEnd === -1 ? -1 : text.indexOf(`-----END ${label}-----`, labelEnd)
    if (end === -1 || label.includes('\n')) throw new PemError('a PEM block does not end')
    const body = text.slice(labelEnd + dashes.length, end).replace(/\s/g, '')
    if (!base64.test(body) || body.length % 4 !== 0) throw new PemError(`a PEM block (${label}) is not base64`)
    blocks.push({ label, der: Buffer.from(body, 'base64') })
    at = end + dashes.length
  }
  return blocks
}

export function certificatePem(der: Uint8Array): string {
  const lines = Buffer.from(der)
    .toString('base64')
    .replace(/.{64}(?=.)/g, '$&\n')
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
}
