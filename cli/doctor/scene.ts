// Where doctor stands: as whom, on which side of the wall, what there is to ask.
import type { State } from '../../deploy/redirect/state.ts'
import type { Config } from '../../proxy/config/schema.ts'
import type { Answer } from './answer.ts'
import type { RecordTail } from './record-tail.ts'

export type Variables = Readonly<Record<string, string | undefined>>

export interface Scene {
  readonly environment: Variables
  /** Who tries; undefined where the system has no such thing. */
  readonly uid: number | undefined
  /** Whether another user was put on for it, with the environment and the privileges of whoever did. */
  readonly borrowed: boolean
  /** `proxy`: the user of the proxy, who may leave and may hold secrets. */
  readonly side: 'agent' | 'proxy'
  /** How agents come to the proxy; `none`: by the configuration nothing is redirected, and no variable names a proxy. */
  readonly mode: 'transparent' | 'explicit' | 'none'
  /** The proxy that the environment names. */
  readonly proxy: URL | undefined
  /** The rules in the kernel, or why they cannot be read. */
  readonly rules: State | string
  /** The proxy's user, as far as it can be told. */
  readonly proxyUid: number | undefined
  /** The call that is to be allowed. */
  readonly url: URL | undefined
  readonly config: Config | undefined
  /** Where the proxy answers /readyz and /metrics. */
  readonly metrics: { readonly host: string; readonly port: number }
  /** What is written down from now on; or why it cannot be read. */
  readonly records: RecordTail | string
  /** A request of before, to be looked up in place of one of now. */
  readonly request: string | undefined
  /** Where to look for secrets, in place of the usual places. */
  readonly files: readonly string[] | undefined
  /** Epoch milliseconds. */
  readonly now: () => number
  /** What the proxy's own door says of the caller; asked once. Rejects where nobody answers, or somebody else. */
  readonly door: () => Promise<Door>
  /** The call to `url`, made once. Rejects where nobody answers. */
  readonly call: () => Promise<Answer>
}

export interface Door {
  readonly caller: string
  readonly proofs: readonly string[]
  readonly listener: string
  /** The leaf that the proxy made for its own name, DER; undefined where it was asked in clear. */
  readonly certificate: Uint8Array | undefined
}

/** Why what an agent tries cannot be tried from here; undefined where it can. */
export function notAnAgent({ side, uid, mode }: Scene): string | undefined {
  if (mode === 'none') return 'neither a rule nor a variable leads to the proxy from here, as one would an agent'
  return side === 'proxy' ? `user ${uid} is the proxy’s, who stands on the other side of the wall` : undefined
}

/** Why there is no wall to be tried; undefined where there should be one. */
export function notWalled(scene: Scene): string | undefined {
  const other = notAnAgent(scene)
  if (other !== undefined) return other
  if (scene.mode === 'explicit')
    return 'the proxy is named by variables and nothing is redirected here; the wall, if there is one, is the network’s'
  return undefined
}

/** Why nothing can be asked through the proxy; undefined where it answers. */
export async function notAnswered(scene: Scene): Promise<string | undefined> {
  const other = notAnAgent(scene)
  if (other !== undefined) return other
  try {
    await scene.door()
    return undefined
  } catch {
    return 'the proxy does not answer; see the line proxy'
  }
}
