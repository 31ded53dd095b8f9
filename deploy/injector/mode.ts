// How traffic gets to the proxy, and what each way is worth.

/** From the weakest to the strongest; `cni` and `transparent` differ in who writes the rules. */
export const modes = ['explicit', 'cni', 'transparent'] as const

export type Mode = (typeof modes)[number]

/** What holds an agent that does not want to be held. */
export const enforcedBy: Readonly<Record<Mode, string>> = {
  explicit: 'proxy variables, which an agent can ignore; the wall is a NetworkPolicy',
  cni: 'redirect rules of the CNI plugin, verified before the pod starts',
  transparent: 'redirect rules in the network namespace of the pod',
}

/** Whether a pod may ask for it where its namespace says otherwise: only for what holds it at least as well. */
export function isAsStrict(asked: Mode, required: Mode): boolean {
  return asked === required || required === 'explicit'
}
