#!/usr/bin/env node
// Starts the command line on a Node that can run it: this one if it is new enough, else the one that npm installed beside us.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

const source = fileURLToPath(new URL('./main.ts', import.meta.url))
const main = existsSync(source) ? source : fileURLToPath(new URL('../dist/main.js', import.meta.url))
const major = Number.parseInt(process.versions.node, 10)

if (major >= 24) {
  // Removes the notices on stderr about features that this program uses knowingly.
  const emit = process.emitWarning
  process.emitWarning = (warning, ...rest) => {
    const kind = typeof rest[0] === 'string' ? rest[0] : rest[0]?.type
    if (kind !== 'ExperimentalWarning') emit.call(process, warning, ...rest)
  }
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
  const child = spawn(found[0], [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2', 'SIGQUIT'])
    process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) =>
    process.exit(signal === null ? (code ?? 1) : 128 + (constants.signals[signal] ?? 0)),
  )
}
