// Postern as it is shipped: the bundle, a configuration file, the whole pipeline on.
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Setting, Subject } from './subject.ts'

type Accept = 'http-proxy' | 'redirected'

export const postern: Subject = posternWith('')

/**
 * @param sections more of the configuration
 * @param accept how the listener takes its connections
 */
export function posternWith(sections: string, accept: Accept = 'http-proxy'): Subject {
  return {
    name: 'postern',
    injects: true,
    async prepare(setting) {
      const { directory, authority, credential } = setting
      const file = join(directory, 'postern.yaml')
      await writeFile(join(directory, 'upstream.pem'), authority)
      await writeFile(file, `${configuration(setting, accept)}${sections}`)
      await bundled()
      return { args: [program, 'run', '-c', file], env: { BENCH_KEY: credential } }
    },
  }
}

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const program = here('../../dist/main.js')

let building: Promise<unknown> | undefined

/** Makes the bundle from the sources as they are, once a run. */
function bundled(): Promise<unknown> {
  building ??= promisify(execFile)(process.execPath, [here('../../deploy/build/bundle.ts')])
  return building
}

export const loader = 'spiffe://bench.example/ns/agents/sa/loader'

/** A hundred rules, of which the last decides; the caller is told by the kernel; each request is recorded. */
function configuration({ port, host, upstreamPort }: Setting, accept: Accept): string {
  const agent = accept === 'redirected' ? `agent: ${loader}` : `uids: { "${process.getuid?.() ?? 0}": ${loader} }`
  const others = Array.from({ length: 49 }, (_, index) => index + 1)
  return `version: 1
trustDomain: bench.example
listen:
  - { name: agents, address: 127.0.0.1:${port}, accept: ${accept}, callers: [kernel], ${agent} }
resolve: { ${host}: [127.0.0.1] }
destinations:
  upstream: { hosts: [${host}], ports: [${upstreamPort}], addresses: [127.0.0.0/8], ca: [upstream.pem] }
${others.map(destination).join('\n')}
credentials:
  upstream-key: { kind: env, variable: BENCH_KEY, for: [upstream] }
rules:
  - { name: nobody-deletes, deny: { methods: [DELETE], paths: [/admin/**] } }
${others.map(twoRules).join('\n')}
  - { name: loader-uses-upstream, allow: { agents: [${loader}, "${loader}/*"], to: upstream }, use: upstream-key, inject: bearer }
records: { to: ./records.jsonl }
`
}

function destination(number: number): string {
  return `  service-${number}: { hosts: [api-${number}.example, "*.tenant-${number}.example"] }`
}

/** One for other agents, and one for this agent at another place. */
function twoRules(number: number): string {
  return `  - { name: readers-${number}, allow: { agents: [spiffe://bench.example/ns/team-${number}/*], to: service-${number}, methods: [GET], paths: [/v1/**] } }
  - { name: loader-${number}, allow: { agents: [${loader}], to: service-${number}, paths: [/v1/items/*] }, when: 'chain.depth <= 2' }`
}
