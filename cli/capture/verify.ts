// Proves that the wall stands: looks at the rules, then tries to get past them as somebody else.
import { tryEscapes } from '../../deploy/redirect/escapes.ts'
import type { State } from '../../deploy/redirect/state.ts'
import { CommandError, exit } from '../exit.ts'

/**
 * Ends with exit code 1 unless everything held. Gives up the rights of this process for good.
 * @param state undefined: the rules were not looked at
 * @param uid whom to try as; without the right to become another user, whoever runs this
 */
export async function verifyCapture(state: State | undefined, uid: number, json: boolean): Promise<void> {
  const tried = becomeUser(uid)
  if (state?.plan?.uid === tried)
    throw new CommandError(exit.usage, `user ${tried} is the one of the proxy, who may leave; see --as`)
  const attempts = await tryEscapes(state?.plan === undefined || state.plan.dnsPort !== undefined)
  const rules = state === undefined || state.rules === 'in force'
  const held = rules && attempts.every((attempt) => attempt.held)
  if (json) console.log(JSON.stringify({ held, uid: tried, rules: state?.rules, changes: state?.changes, attempts }))
  else {
    if (state !== undefined) console.log(`${rules ? 'ok  ' : 'FAIL'}  rules: ${state.rules}`)
    for (const line of state?.changes ?? []) console.log(`        ${line}`)
    for (const { name, held: ok, got } of attempts) console.log(`${ok ? 'ok  ' : 'FAIL'}  ${name}: ${got}`)
    console.log(held ? `Nothing of user ${tried} gets past the proxy.` : 'There is a way past the proxy.')
  }
  if (!held) process.exitCode = 1
}

function becomeUser(uid: number): number | undefined {
  try {
    process.setgroups?.([])
    process.setgid?.(uid)
    process.setuid?.(uid)
  } catch {
    // Without CAP_SETUID, as in a container that keeps NET_ADMIN alone.
  }
  return process.getuid?.()
}
