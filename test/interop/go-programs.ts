// Builds the programs of others that we are tried against, from Go modules, once: into node_modules/.cache/interop.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const versions = { spire: 'v1.13.3', goSpiffe: 'v2.6.0' }
const cache = fileURLToPath(new URL('../../node_modules/.cache/interop/', import.meta.url))
/** The server of SPIRE alone is some eight minutes of one core. */
const longest = 40 * 60_000

/** Paths of programs, or why they cannot be had here. */
export type Programs<Name extends string> = Readonly<Record<Name, string>> | { readonly missing: string }

/** A workload that uses go-spiffe. */
export function goClient(): Programs<'client'> {
  const folder = join(cache, `go-client-${versions.goSpiffe}`)
  mkdirSync(folder, { recursive: true })
  cpSync(fileURLToPath(new URL('./go-client/main.go', import.meta.url)), join(folder, 'main.go'))
  writeFileSync(join(folder, 'go.mod'), moduleFile(`require github.com/spiffe/go-spiffe/v2 ${versions.goSpiffe}`))
  const client = join(folder, 'client')
  const missing = run(folder, ['mod', 'tidy']) ?? run(folder, ['build', '-trimpath', '-o', client, '.'])
  return missing === undefined ? { client } : { missing }
}

/** SPIRE as it is published, but for a dialler of hosted MySQL, which its module source does not vouch for everywhere; the server keeps its data in SQLite here. */
export function spire(): Programs<'server' | 'agent'> {
  const folder = join(cache, `spire-${versions.spire}`)
  const server = join(folder, 'bin/spire-server')
  const agent = join(folder, 'bin/spire-agent')
  if (existsSync(server) && existsSync(agent)) return { server, agent }
  const dialler = join(folder, 'no-dialler')
  mkdirSync(join(dialler, 'proxy/dialers/mysql'), { recursive: true })
  writeFileSync(join(dialler, 'go.mod'), 'module github.com/GoogleCloudPlatform/cloudsql-proxy\n\ngo 1.24\n')
  writeFileSync(join(dialler, 'proxy/dialers/mysql/mysql.go'), '// Package mysql has nothing in it.\npackage mysql\n')
  writeFileSync(
    join(folder, 'go.mod'),
    moduleFile('replace github.com/GoogleCloudPlatform/cloudsql-proxy => ./no-dialler'),
  )
  const commands = ['spire-agent', 'spire-server'].map((name) => `github.com/spiffe/spire/cmd/${name}`)
  const missing =
    run(folder, ['get', '-tool', ...commands.map((each) => `${each}@${versions.spire}`)]) ??
    run(folder, ['install', '-trimpath', '-ldflags=-s -w', ...commands])
  return missing === undefined ? { server, agent } : { missing }
}

const moduleFile = (rest: string): string => `module postern.internal/interop\n\ngo 1.24\n\n${rest}\n`

/** @returns why it failed; undefined when it did not */
function run(folder: string, args: readonly string[]): string | undefined {
  // One package at a time and with patience: others work on this machine too.
  const { error, status, stderr } = spawnSync('nice', ['-n', '10', 'go', ...args], {
    cwd: folder,
    env: { ...process.env, GOFLAGS: '-p=1', GOBIN: join(folder, 'bin') },
    encoding: 'utf8',
    timeout: longest,
  })
  if (error !== undefined) return `go cannot be run: ${error.message}`
  return status === 0 ? undefined : `go ${args[0]} failed: ${stderr.trim().split('\n').slice(-3).join(' ')}`
}
