// Which hosts the pod's authority may certify, as a constraint in its own certificate (RFC 5280 §4.2.1.10).
import { ipBytes } from './x509/ip-bytes.ts'
import { type AlternativeName, nameConstraints } from './x509/issue.ts'

/** @param hosts exact names, `*.suffix`, or IP addresses, as destinations name them */
export function hostConstraints(hosts: readonly string[]): Uint8Array {
  const names = hosts.map(nameOf)
  // A kind of which nothing is permitted is not constrained at all, so addresses of that kind are excluded as a whole.
  const families = [4, 16].filter((length) => !names.some((name) => 'ip' in name && name.ip.length === length))
  return nameConstraints(
    names.map((name) => ('ip' in name ? { ip: withMask(name.ip, 0xff) } : name)),
    families.map((length) => ({ ip: withMask(new Uint8Array(length), 0) })),
  )
}

/** @returns those that a certificate so constrained would not serve */
export function beyondConstraints(hosts: readonly string[], constrainedTo: readonly string[]): readonly string[] {
  const permitted = constrainedTo.map((host) => host.replace(/^\*\./, ''))
  return hosts.filter((host) => {
    const plain = host.replace(/^\*\./, '')
    return !permitted.some((base) => plain === base || (ipBytes(base) === undefined && plain.endsWith(`.${base}`)))
  })
}

/** A name permits what is below it too; there is no constraint to one name alone. */
function nameOf(host: string): AlternativeName {
  const ip = ipBytes(host)
  return ip === undefined ? { dns: host.replace(/^\*\./, '') } : { ip }
}

/** In a constraint an address has a mask behind it. */
function withMask(address: Uint8Array, each: number): Uint8Array {
  return Uint8Array.from([...address, ...new Array<number>(address.length).fill(each)])
}
