// What the rules are to do, and how they say so themselves, so that what is in force can be told from what was installed.
import { portsFrom } from '../../proxy/capture/redirected-ports.ts'

export interface Plan {
  /** The only user who reaches the network. */
  readonly uid: number
  /** The first port on 127.0.0.1 and ::1 that all TCP of the others is turned round to. */
  readonly port: number
  /** How many there are from that one on; the kernel takes the first at which a connection keeps its source port. */
  readonly ports: number
  /** Port on 127.0.0.1 and ::1 that their DNS is turned round to; without it DNS is rejected like all other UDP. */
  readonly dnsPort: number | undefined
  /** Whether they may answer TCP connections from outside. */
  readonly inbound: boolean
}

/** The same for a namespace of its own, where the proxy is not and nobody is exempt. */
export type Wall = Omit<Plan, 'uid'> & { readonly uid: number | undefined }

/** A bit of the connection mark by which packets that no socket owns, such as the last ACK of a connection, are known as the proxy's. */
export const proxysMark = 0x4000_0000

/** Ports and a uid that do not work together are refused before anything is done. */
export function checkPlan({ uid, port, ports, dnsPort }: Plan): string | undefined {
  if (uid === 0) return 'user 0 cannot be the exempted one: whatever runs as root would be exempt'
  if (uid > 0xffff_fffe) return 'the user id is too large'
  const taken = portsFrom(port, ports)
  if (taken.includes(53) || dnsPort === 53) return 'port 53 is what is redirected, so it cannot be where to'
  if (dnsPort !== undefined && taken.includes(dnsPort))
    return `TCP is redirected to the ports ${portRange({ port, ports })}, so DNS needs another one`
  if (taken.some((each) => each > 65_535)) return `TCP takes ${ports} ports, so the first is ${65_536 - ports} at most`
  return undefined
}

/** As both programs write ranges of ports. */
export const portRange = ({ port, ports }: Pick<Plan, 'port' | 'ports'>): string =>
  ports === 1 ? String(port) : `${port}-${port + ports - 1}`

/** One line that stands beside the rules. */
export function describePlan({ uid, port, ports, dnsPort, inbound }: Wall): string {
  return `postern uid=${uid ?? 'none'} port=${portRange({ port, ports })} dns=${dnsPort ?? 'none'} inbound=${inbound ? 'yes' : 'no'}`
}

/** Reads what `describePlan` wrote; undefined for anything else. */
export function readPlan(text: string): Plan | undefined {
  const found = /^postern uid=(\d{1,10}) port=(\d{1,5})(?:-(\d{1,5}))? dns=(\d{1,5}|none) inbound=(yes|no)$/.exec(text)
  if (found === null) return undefined
  const [, uid, port, last = port, dns, inbound] = found
  return {
    uid: Number(uid),
    port: Number(port),
    ports: Number(last) - Number(port) + 1,
    dnsPort: dns === 'none' ? undefined : Number(dns),
    inbound: inbound === 'yes',
  }
}
