// fetch of Node: of the one that Postern runs on, and of the one that is installed on this machine.
import { spawnSync } from 'node:child_process'
import { delimiter } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clientsWorld, expectBothApisReached, type World } from './world.ts'

const program = `
const [api, plain] = process.argv.slice(2)
const show = async (answer) => console.log(answer.status, await answer.text())
await show(await fetch(api + '/v1/a'))
await show(await fetch(api + '/v1/post', { method: 'POST', body: 'name=Ada' }))
await show(await fetch(api + '/forbidden'))
await show(await fetch(plain + '/v1/b'))
`

let world: World
beforeAll(async () => {
  world = await clientsWorld({ 'program.mjs': program })
})
afterAll(() => world[Symbol.asyncDispose]())

interface Installed {
  readonly path: string
  readonly version: string
}

/** The Node that a user gets here, past those of npm. */
function installed(): Installed | undefined {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    if (folder === '' || folder.includes('node_modules')) continue
    const { status, stdout } = spawnSync(`${folder}/node`, ['--version'], { encoding: 'utf8' })
    if (status === 0) return { path: `${folder}/node`, version: stdout.trim() }
  }
  return undefined
}

/** Node heeds NODE_USE_ENV_PROXY since 22.21 and 24.5. */
function readsProxyVariables({ version }: Installed): boolean {
  const [, major = 0, minor = 0] = /^v(\d+)\.(\d+)/.exec(version)?.map(Number) ?? []
  return major > 24 || (major === 24 && minor >= 5) || (major === 22 && minor >= 21)
}

describe('fetch of Node through postern exec', () => {
  const machines = installed()
  const left =
    machines === undefined
      ? 'no Node is installed here'
      : readsProxyVariables(machines)
        ? undefined
        : `Node ${machines.version} of this machine does not read the proxy variables`

  test('of the Node that Postern runs on', () => reachesTheApis(process.execPath))

  test.skipIf(left !== undefined)(
    `of the Node of this machine${left === undefined ? '' : ` (left out: ${left})`}`,
    () => reachesTheApis(machines?.path ?? ''),
  )

  test.skipIf(machines === undefined || left === undefined)(
    'of a Node that does not read the proxy variables fails without a wall, and nothing reaches the API without a credential',
    async () => {
      const argv = ['--isolate=off', '--', machines?.path ?? '', 'program.mjs', world.api, world.plain]
      const { code } = await world.run(argv)
      expect(code).not.toBe(0)
      expect(world.seen()).toEqual([])
    },
  )
})

async function reachesTheApis(node: string): Promise<void> {
  const { code, out, errors } = await world.run([node, 'program.mjs', world.api, world.plain])
  expect(errors).not.toContain('Error')
  expect(code).toBe(0)
  expectBothApisReached(world, out)
}
