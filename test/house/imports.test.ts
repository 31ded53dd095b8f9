// Who may import whom. The folder tree is the architecture; this keeps it so.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
}

interface Import {
  readonly from: string
  readonly to: string
  readonly typeOnly: boolean
}

/** Imports of our own files, as paths from the root. */
function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8')
  const statements = text.matchAll(/^(?:import|export)\s+(type\s)?([^'"]*?)from\s+'(\.[^']+)'/gms)
  const found = [...statements].map(([, type, names = '', path = '']) => ({
    from: file,
    to: relative(root, resolve(root, dirname(file), path)),
    typeOnly: type !== undefined || /^\{(\s*type [^,}]+,?)+\s*\}\s*$/.test(names),
  }))
  const dynamic = [...text.matchAll(/import\('(\.[^']+)'\)/g)].map(([, path = '']) => ({
    from: file,
    to: relative(root, resolve(root, dirname(file), path)),
    typeOnly: false,
  }))
  return [...found, ...dynamic]
}

const all = ['cli', 'proxy', 'policy', 'certs', 'deploy'].flatMap(sources).flatMap(importsOf)
const offenders = (wrong: (edge: Import) => boolean) => all.filter(wrong).map(({ from, to }) => `${from} → ${to}`)

const top = (path: string) => path.split('/')[0]
const steps = ['capture', 'identify', 'door', 'authorize', 'obtain', 'inject', 'forward', 'redact', 'record']
const stepOf = (path: string) => {
  const [folder, step = ''] = path.split('/')
  return folder === 'proxy' && steps.includes(step) ? step : undefined
}

describe('imports', () => {
  it('are found at all', () => {
    expect(all.length).toBeGreaterThan(200)
    expect(all).toContainEqual({ from: 'proxy/pipeline.ts', to: 'proxy/authorize/authorize.ts', typeOnly: false })
  })

  it('of certs lead to certs alone', () => {
    expect(offenders(({ from, to }) => top(from) === 'certs' && top(to) !== 'certs')).toEqual([])
  })

  it('of policy lead to policy, and to SPIFFE IDs', () => {
    expect(
      offenders(({ from, to }) => top(from) === 'policy' && top(to) !== 'policy' && to !== 'certs/spiffe-id.ts'),
    ).toEqual([])
  })

  it('of proxy do not lead to the command line', () => {
    expect(offenders(({ from, to }) => top(from) === 'proxy' && top(to) === 'cli')).toEqual([])
  })

  it('of a step do not lead to another step, but for the seams', () => {
    const seams = new Set([
      'proxy/identify/attestor.ts',
      'proxy/obtain/provider.ts',
      'proxy/inject/placement.ts',
      'proxy/forward/forwarder.ts',
      'proxy/record/sink.ts',
      'proxy/door/desk.ts',
    ])
    expect(
      offenders(({ from, to }) => {
        const [one, other] = [stepOf(from), stepOf(to)]
        return one !== undefined && other !== undefined && one !== other && !seams.has(to)
      }),
    ).toEqual([])
  })

  it('of the pipeline lead to step functions and seams alone', () => {
    const allowed =
      /^proxy\/((exchange|refusal|story|open-exchanges|turns)\.ts|(identify\/identify|identify\/delegation\/delegations|door\/door|authorize\/(authorize|budgeted|stopped)|budget\/(budgets|meter)|obtain\/(obtain|provider)|inject\/(inject|placement)|forward\/forwarder|redact\/redact|record\/sink)\.ts)$|^policy\/engine\.ts$/
    expect(offenders(({ from, to }) => from === 'proxy/pipeline.ts' && !allowed.test(to))).toEqual([])
  })

  it('of everything do not lead to tests or benchmarks, but for the demo', () => {
    expect(
      offenders(({ from, to }) => ['test', 'bench'].includes(top(to) ?? '') && !from.startsWith('cli/demo/')),
    ).toEqual([])
  })
})

describe('what only some may do', () => {
  const lines = (pattern: RegExp, allowed: RegExp) =>
    ['cli', 'proxy', 'policy', 'certs', 'deploy']
      .flatMap(sources)
      .filter((file) => !allowed.test(file))
      .filter((file) => pattern.test(readFileSync(join(root, file), 'utf8')))

  it('a secret is revealed in obtain, inject and redact', () => {
    expect(lines(/\.reveal\(/, /^proxy\/(obtain|inject|redact)\/|^proxy\/secret\.ts$/)).toEqual([])
  })

  it('a secret that a caller presents is shown to verifiers in identify', () => {
    expect(lines(/\.judgedBy\(/, /^proxy\/identify\//)).toEqual([])
  })

  it('a SPIFFE ID is made where it is parsed', () => {
    expect(lines(/\bas (SpiffeId|TrustDomain)\b/, /^certs\/spiffe-id\.ts$/)).toEqual([])
  })

  it('a host name is made where it is made canonical', () => {
    expect(lines(/\bas HostName\b/, /^proxy\/capture\/target\.ts$/)).toEqual([])
  })

  it('the environment is read by the command line', () => {
    expect(lines(/process\.env\b/, /^(cli|deploy\/build)\//)).toEqual([])
  })

  it('undici is called by forward and by the calls to token servers, http-proxy and node-forge nowhere else than stated', () => {
    expect(lines(/from 'undici'/, /^proxy\/(forward|obtain)\//)).toEqual([])
    expect(lines(/from 'http-proxy'/, /^$/)).toEqual([])
    expect(lines(/from 'node-forge'/, /^certs\/trust/)).toEqual([])
  })
})
