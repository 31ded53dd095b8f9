// The same Postern, where the kernel turns connections round to it, as in a pod. The rules go into the network namespace
// that the bench is in.
import { execFileSync } from 'node:child_process'
import { nftTable } from '../../deploy/redirect/nft-ruleset.ts'
import { postern, posternWith } from './postern.ts'
import type { Setting, Subject } from './subject.ts'

/** By its group a proxy is told from the load here, since all are of the same user. */
const group = 14_001

/** The one by CONNECT, where the other's rules hold. */
export const exempt: Subject = { ...postern, prepare: (setting) => started(postern, setting) }

const shipped = posternWith('', 'redirected')

export const redirected: Subject = {
  ...shipped,
  name: 'postern, redirected',
  redirected: true,
  prepare(setting) {
    execFileSync('nft', ['-f', '-'], { input: rules(setting) })
    return started(shipped, setting)
  },
}

async function started({ prepare }: Subject, setting: Setting): ReturnType<Subject['prepare']> {
  const { args = [], ...rest } = (await prepare(setting)) ?? {}
  return { ...rest, program: 'setpriv', args: [`--regid=${group}`, '--clear-groups', process.execPath, ...args] }
}

/** Those of a pod, for what they cost; and since those leave alone what is on this machine, another for the upstream. */
function rules({ port, upstreamPort }: Setting): string {
  return `${nftTable({ uid: group, port, ports: 1, dnsPort: undefined, inbound: true })}
table ip bench {
  chain turn {
    type nat hook output priority -99; policy accept;
    meta skgid != ${group} ip daddr 127.0.0.1 tcp dport ${upstreamPort} redirect to :${port}
  }
}
`
}
