// IP literals as the bytes that certificates hold (RFC 5280 §4.2.1.6).
import { isIPv4, isIPv6 } from 'node:net'

/**
 * @param host an IP literal without brackets and zone
 * @returns 4 or 16 bytes, or undefined when it is not an IP literal
 */
export function ipBytes(host: string): Uint8Array | undefined {
  if (isIPv4(host)) return Uint8Array.from(host.split('.'), Number)
  if (!isIPv6(host) || host.includes('%')) return undefined
  const [head = '', tail] = host.split('::')
  const first = groups(head)
  if (tail === undefined) return Uint8Array.from(first)
  const last = groups(tail)
  return Uint8Array.from([...first, ...new Array<number>(16 - first.length - last.length).fill(0), ...last])
}

function groups(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number)
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 0xff]
  })
}
