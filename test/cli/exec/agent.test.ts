// Whom a command is taken for, and what is said when that is open.
import { describe, expect, test } from 'vitest'
import { parseSpiffeId } from '../../../certs/spiffe-id.ts'
import { commandsAgent } from '../../../cli/exec/agent.ts'
import { CommandError } from '../../../cli/exit.ts'

const a = parseSpiffeId('spiffe://acme.example/a')
const b = parseSpiffeId('spiffe://acme.example/b')

type Config = Parameters<typeof commandsAgent>[1]
const config = (agents: readonly (readonly string[])[], agent?: typeof a): Config => ({
  exec: { agent },
  rules: [{}, ...agents.map((each) => ({ allow: { agents: each } }))],
})

function failure(given: string | undefined, named: Config): string {
  try {
    return `found ${commandsAgent(given, named)}`
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    expect(error.exitCode).toBe(64)
    return error.message
  }
}

describe('commandsAgent', () => {
  test('is nobody’s choice but the operator’s when the rules name two', () => {
    const message = failure(undefined, config([[a], [b, a]]))
    expect(message).toContain('--as SPIFFE_ID')
    expect(message).toContain(`${a}\n  ${b}`)
  })

  test('is not guessed from a pattern', () => {
    expect(failure(undefined, config([['spiffe://acme.example/*']]))).toContain('The rules name no agent.')
    expect(failure(undefined, config([]))).toContain('The rules name no agent.')
  })

  test.each(['', 'acme/a', 'spiffe://acme.example', 'spiffe://acme.example/a/', 'spiffe://acme.example/../b'])(
    'refuses --as %j',
    (given) => {
      expect(failure(given, config([[a]]))).toMatch(/^--as /)
    },
  )

  test('is what --as says, before the configuration, before the rules', () => {
    expect(commandsAgent('spiffe://acme.example/c', config([[a]], b))).toBe('spiffe://acme.example/c')
    expect(commandsAgent(undefined, config([[a]], b))).toBe(b)
    expect(commandsAgent(undefined, config([[a], [a, 'spiffe://acme.example/*']]))).toBe(a)
  })
})
