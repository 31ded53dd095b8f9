// `node bench/redirected.ts [--whole]`: what a request costs that the kernel turned round, against one by CONNECT.
// In a network namespace of its own; needs root on Linux, unshare, setpriv, ip and nft. A short run unless told.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Contest } from './contest.ts'
import { heldAgainst, readFloors } from './floors.ts'
import { describeMachine, shareOutCores } from './machine.ts'
import { shortPace, wholePace } from './pace.ts'
import { asText } from './report.ts'
import { requests } from './scenarios/requests.ts'
import { exempt, redirected } from './subjects/redirected.ts'

const isInside = process.env.BENCH_NAMESPACE === 'own'

process.exitCode = isInside ? await bench() : enter()

/** Begins again inside. */
function enter(): number {
  const self = [process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)]
  const script = 'ip link set lo up && command -v nft setpriv >/dev/null && exec "$@"'
  const env = { ...process.env, BENCH_NAMESPACE: 'own' }
  const { status, error } = spawnSync('unshare', ['--net', 'sh', '-c', script, 'sh', ...self], {
    env,
    stdio: 'inherit',
  })
  if (error !== undefined) console.error(`unshare: ${error.message}`)
  return status ?? 1
}

async function bench(): Promise<number> {
  const pace = process.argv.includes('--whole') ? wholePace : shortPace
  const cores = shareOutCores()
  const contest = await Contest.open(cores)
  try {
    const loads = requests('1 KB redirected', '/1k', 64)
    const { table, figures } = await loads.run(contest, [exempt, redirected], pace)
    console.log(`${describeMachine()}\n${cores.note ?? ''}\n\n${asText(table)}`)
    const worse = heldAgainst(readFloors(), figures)
    for (const sentence of worse) console.error(`Worse than it may be: ${sentence}`)
    for (const [name, value] of Object.entries(figures))
      if (!Number.isNaN(value)) console.log(`${name}: ${value.toFixed(2)}`)
    return worse.length === 0 ? 0 : 1
  } finally {
    await contest.close()
  }
}
