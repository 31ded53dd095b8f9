// wget, as a user runs it.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missing } from '../support/programs.ts'
import { canary, clientsWorld, type World } from './world.ts'

const left = missing('wget', ['wget', '--version'])

describe.skipIf(left !== undefined)(
  `wget through postern exec${left === undefined ? '' : ` (left out: ${left})`}`,
  () => {
    let world: World
    beforeAll(async () => {
      world = await clientsWorld()
    })
    afterAll(() => world[Symbol.asyncDispose]())

    test('reaches an HTTPS API and one in clear, with a credential that it never had', async () => {
      const { code, out, errors } = await world.run([
        'wget',
        '-nv',
        '-O',
        '-',
        `${world.api}/v1/a`,
        `${world.plain}/v1/b`,
      ])
      expect(errors).not.toContain('ERROR')
      expect(out).toBe('{"hello":"from the API","bytes":0}'.repeat(2))
      expect(code).toBe(0)
      const authorization = `Bearer ${canary}`
      expect(world.seen()).toMatchObject([
        { url: '/v1/a', headers: { authorization } },
        { url: '/v1/b', headers: { authorization } },
      ])
    })

    test('is told why not', async () => {
      const { code, out } = await world.run(['wget', '-nv', '--content-on-error', '-O', '-', `${world.api}/forbidden`])
      expect(code).toBe(8)
      expect(JSON.parse(out)).toMatchObject({ status: 403, reason: 'no_rule' })
      expect(world.seen()).toEqual([])
    })
  },
)
