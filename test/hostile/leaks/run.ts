// Lets an upstream give the credential back in every way that we know of, and counts what the agent can read; then looks for it where it is not. Run: npm run test:leaks [-- --short]
import { parseArgs } from 'node:util'
import { type Counts, tryAll } from './matrix.ts'
import { tryNoise } from './noise.ts'
import { tryUpgraded } from './upgraded.ts'
import { openWorld, type World, ways } from './world.ts'

const { values } = parseArgs({ options: { short: { type: 'boolean', default: false } } })
const { every, everyUpgrade, megabytes } = values.short
  ? { every: 40, everyUpgrade: 10, megabytes: 50 }
  : { every: 1, everyUpgrade: 1, megabytes: 1_000 }

let wrong = 0

async function counted(what: string, run: (world: World) => Promise<Counts>): Promise<void> {
  await using world = await openWorld()
  const began = performance.now()
  const { combinations, leaks, unread, blanked, refused, broken, dropped } = await run(world)
  const seconds = ((performance.now() - began) / 1_000).toFixed(0)
  console.log(
    `${what}: ${combinations} combinations in ${seconds} s, ${leaks.length} leaks; answers: ${blanked} blanked, ${dropped} without that part, ${refused} refused, ${broken} broken off`,
  )
  for (const leak of leaks.slice(0, 20)) console.log(`  leak: ${leak}`)
  for (const name of unread.slice(0, 20)) console.log(`  proves nothing, the reader does not see it: ${name}`)
  if (world.missing() > 0) console.log(`  ${world.missing()} requests came without the credential`)
  wrong += leaks.length + unread.length + world.missing()
}

await counted('Answers', (world) => tryAll(world, every))
await counted('Upgraded connections', (world) => tryUpgraded(world, everyUpgrade))

const secrets = Object.values(ways).map(({ secret }) => secret)
for (const { kind, bytes, found } of tryNoise(megabytes * 1e6, secrets)) {
  console.log(`${kind}: ${(bytes / 1e6).toFixed(0)} MB, ${found} false finds`)
  wrong += found
}
process.exitCode = wrong === 0 ? 0 : 1
