// Which program puts the rules into the kernel: nft where it is, else one of the iptables family.
import { type Backend, RedirectError } from './backend.ts'
import { iptablesBackend } from './iptables.ts'
import { nftBackend } from './nft.ts'
import type { Programs } from './programs.ts'

export const programNames = ['nft', 'iptables', 'iptables-nft', 'iptables-legacy'] as const
export type ProgramName = (typeof programNames)[number]

/** @param wanted one that is to be taken and no other */
export function chooseBackend(programs: Programs, wanted: ProgramName | undefined): Backend {
  const found = (wanted === undefined ? programNames : [wanted]).find((name) => isHere(programs, name))
  if (found === undefined) {
    const sought = wanted === undefined ? 'neither nft nor iptables' : `no ${wanted}`
    throw new RedirectError('missing', `there is ${sought} here; install the package nftables, or iptables`)
  }
  if (found === 'nft') return nftBackend(programs)
  return iptablesBackend(programs, found === 'iptables' ? '' : found === 'iptables-nft' ? '-nft' : '-legacy')
}

function isHere(programs: Programs, name: ProgramName): boolean {
  if (name === 'nft') return programs.has('nft')
  // One family alone would leave the other one open.
  return [name, name.replace('iptables', 'ip6tables')].every(
    (each) => programs.has(`${each}-restore`) && programs.has(`${each}-save`),
  )
}
