// Takes the defences out one by one, in copies of the sources, and counts how many of the tests of its hole notice. Run by hand: node test/hostile/mutations.ts [hole …]
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Mutation, mutations } from './holes/mutations.ts'
import { type Covering, holes } from './holes/table.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
/** Copies in which something is tried at the same time. */
const atOnce = 2
/** Milliseconds that the tests of one hole may take. */
const patience = 60_000
/** What the tests do not need, or is large. */
const leftOut = /^(node_modules|\.git|dist|coverage|bench)(\/|$)/

interface Run {
  readonly failed: number
  readonly passed: number
  /** They did not end in time. */
  readonly hung: boolean
}

async function copy(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-mutations-'))
  // Where root runs this, some tests start what is in it as another user.
  await chmod(folder, 0o755)
  await cp(root, folder, { recursive: true, filter: (path) => !leftOut.test(relative(root, path)) })
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  return folder
}

/** Runs these tests alone. @throws when none of them is found, or a file cannot be loaded */
async function run(folder: string, tests: readonly Covering[]): Promise<Run> {
  const report = join(folder, 'report.json')
  await rm(report, { force: true })
  const names = tests.map(({ name }) => name.replaceAll(/[.*+?()[\]{}|^$\\]/g, '\\$&'))
  const files = [...new Set(tests.map(({ file }) => `test/${file}`))]
  const child = spawn(
    process.execPath,
    [
      'node_modules/vitest/vitest.mjs',
      'run',
      ...files,
      '-t',
      names.join('|'),
      '--testTimeout=8000',
      '--reporter=json',
      `--outputFile=${report}`,
    ],
    { cwd: folder, stdio: 'ignore', detached: true },
  )
  const closed = once(child, 'close')
  const timer = setTimeout(() => child.pid !== undefined && process.kill(-child.pid, 'SIGKILL'), patience)
  await closed
  clearTimeout(timer)
  const text = await readFile(report, 'utf8').catch(() => undefined)
  if (text === undefined) return { failed: 0, passed: 0, hung: true }
  const { numFailedTests: failed, numPassedTests: passed } = JSON.parse(text)
  if (failed + passed === 0) throw new Error(`no test was run: ${files.join(', ')}`)
  return { failed, passed, hung: false }
}

const testsOf = (number: number) => holes.find((hole) => hole.number === number)?.tests ?? []

/** @returns what puts it back */
async function apply(folder: string, { patches }: Mutation): Promise<() => Promise<void>> {
  const before = new Map<string, string>()
  for (const { file, text, instead } of patches) {
    const path = join(folder, file)
    const source = await readFile(path, 'utf8')
    if (!before.has(path)) before.set(path, source)
    if (source.split(text).length !== 2) throw new Error(`${file} does not hold this once: ${text}`)
    await writeFile(
      path,
      source.replace(text, () => instead),
    )
  }
  return async () => {
    for (const [path, source] of before) await writeFile(path, source)
  }
}

const wanted = process.argv.slice(2).map(Number)
const chosen = mutations.filter(({ hole }) => wanted.length === 0 || wanted.includes(hole))
const folders = await Promise.all(Array.from({ length: atOnce }, copy))
try {
  const [first = ''] = folders
  for (const { number, tests } of holes.filter(({ number }) => chosen.some(({ hole }) => hole === number))) {
    const { failed, hung } = await run(first, tests)
    if (failed > 0 || hung) throw new Error(`the tests of H${number} fail without a change`)
  }
  const waiting = chosen.values()
  const unnoticed: string[] = []
  await Promise.all(
    folders.map(async (folder) => {
      for (const mutation of waiting) {
        const restore = await apply(folder, mutation)
        const { failed, passed, hung } = await run(folder, testsOf(mutation.hole))
        await restore()
        const noticed = failed > 0
        const told = hung ? 'they did not end' : `${failed} of ${failed + passed} tests notice`
        console.log(`${noticed ? 'noticed  ' : 'UNNOTICED'} H${mutation.hole} ${mutation.what}: ${told}`)
        if (!noticed) unnoticed.push(mutation.what)
      }
    }),
  )
  const opened = new Set(chosen.map(({ hole }) => hole)).size
  console.log(
    `${chosen.length - unnoticed.length} of ${chosen.length} changes noticed, ${opened} of ${holes.length} holes opened`,
  )
  process.exitCode = unnoticed.length === 0 ? 0 : 1
} finally {
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })))
}
