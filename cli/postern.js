#!/usr/bin/env node
// Starts the command line on a Node that can run it: this one if it is new enough, else the one that npm installed beside us.
import { spawn } from 'node:child_process'
import { access, existsSync } from 'node:fs'
import module, { createRequire } from 'node:module'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

// Any process of the same user could otherwise open Node's inspector in this one, and read its memory.
process.on('SIGUSR1', () => {})

const source = fileURLToPath(new URL('./main.ts', import.meta.url))
const main = existsSync(source) ? source : fileURLToPath(new URL('../dist/main.js', import.meta.url))
const major = Number.parseInt(process.versions.node, 10)
/** A proxy that does less: Node's permission model, without the notices of it. docs/operations.md says what for. */
const narrowed = [
  '--permission',
  '--allow-fs-read=*',
  '--allow-fs-write=*',
  '--allow-net',
  '--allow-ffi',
  '--allow-child-process',
  '--disable-sigusr1',
  '--disable-warning=SecurityWarning',
  '--disable-warning=ExperimentalWarning',
]

if (major >= 24) {
  // Removes the notices on stderr about features that this program uses knowingly.
  const emit = process.emitWarning
  process.emitWarning = (warning, ...rest) => {
    const kind = typeof rest[0] === 'string' ? rest[0] : rest[0]?.type
    if (kind !== 'ExperimentalWarning') emit.call(process, warning, ...rest)
  }
  // Node would hand its permission model on to every command that is started, and forbid it threads and addons.
  if (process.permission !== undefined)
    process.execArgv = process.execArgv.filter((option) => !/^--(permission$|allow-)/.test(option))
  // Names are resolved in half of libuv's threads, and a name server that is silent keeps one for seconds: with the four of
  // the default, two such names would hold up every other. Read when the first work is given to them; not for children.
  if (process.env.UV_THREADPOOL_SIZE === undefined) {
    process.env.UV_THREADPOOL_SIZE = '16'
    access('/', () => {})
    delete process.env.UV_THREADPOOL_SIZE
  }
  // For a checkout only: whoever can write the cache can as well write the sources. Beside an installed bundle, it would
  // be a way in for the agent.
  if (main === source)
    module.enableCompileCache?.(fileURLToPath(new URL('../node_modules/.cache/postern', import.meta.url)))
  await import(main)
} else {
  const require = createRequire(import.meta.url)
  const names = [`node-${process.platform}-${process.arch}`, `node-bin-${process.platform}-${process.arch}`]
  const found = names.flatMap((name) => {
    try {
      return [require.resolve(`${name}/bin/node`)]
    } catch {
      return []
    }
  })
  if (found.length === 0) {
    console.error(
      `postern needs Node.js 24 or newer; this is ${process.version}, and npm installed none for ${process.platform}-${process.arch}.`,
    )
    process.exit(69)
  }
  // Another Node is started anyway, so it costs nothing.
  const options = process.argv[2] === 'run' && process.platform === 'linux' ? narrowed : []
  const argv = [...options, fileURLToPath(import.meta.url), ...process.argv.slice(2)]
  // A launcher that stayed would keep what is secret in its environment where others can read it.
  if (process.execve !== undefined && process.platform !== 'win32') process.execve(found[0], [found[0], ...argv])
  const child = spawn(found[0], argv, { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2', 'SIGQUIT', 'SIGWINCH', 'SIGCONT', 'SIGTSTP']) {
    process.on(signal, () => child.kill(signal))
  }
  child.on('exit', (code, signal) =>
    process.exit(signal === null ? (code ?? 1) : 128 + (constants.signals[signal] ?? 0)),
  )
}
