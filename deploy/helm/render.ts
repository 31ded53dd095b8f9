// What the chart makes of values: with Helm, without a cluster.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { isObject } from '../injector/equal.ts'

const run = promisify(execFile)

/** The folder of the chart. */
export const chart = fileURLToPath(new URL('./postern', import.meta.url))

export interface RenderOptions {
  /** Files of values; a later one goes before an earlier one. */
  readonly values?: readonly string[]
  /** JSON by path, as in `{ replicas: 3 }`. */
  readonly set?: Readonly<Record<string, unknown>>
  readonly release?: string
  readonly namespace?: string
}

/**
 * The objects as YAML documents.
 * @param helm the program
 * @throws with what Helm says, such as which value the schema refuses
 */
export async function renderChart(helm: string, options: RenderOptions = {}): Promise<string> {
  return call(helm, ['template', ...target(options), ...valueArguments(options)])
}

/** What is told after an installation. */
export async function renderNotes(helm: string, options: RenderOptions = {}): Promise<string> {
  const told = await call(helm, ['install', ...target(options), '--dry-run=client', ...valueArguments(options)])
  return told.slice(told.indexOf('\nNOTES:\n') + '\nNOTES:\n'.length)
}

/** @throws with what Helm has against it */
export async function lintChart(helm: string, options: RenderOptions = {}): Promise<string> {
  return call(helm, ['lint', '--strict', chart, ...valueArguments(options)])
}

/** For those without Helm: the namespace as well, and nothing that speaks of Helm. */
export async function renderManifest(helm: string, options: RenderOptions = {}): Promise<string> {
  const { namespace = 'postern' } = options
  const rendered = await renderChart(helm, options)
  const plain = rendered.replaceAll(/^(# Source: .*| +(app\.kubernetes\.io\/managed-by|helm\.sh\/chart): .*)\n/gm, '')
  return `${opening}apiVersion: v1
kind: Namespace
metadata:
  name: ${namespace}
  labels:
    pod-security.kubernetes.io/enforce: restricted
${plain.trimEnd()}\n`
}

const opening = `# The injector, for those without Helm: what the chart in deploy/helm/postern renders. caBundle is written by the replicas.
# Put your images into three places: two of the ConfigMap, one of the Deployment; better with a digest. Other values:
#   node deploy/build/manifest.ts my-values.yaml | kubectl apply -f -
`

const target = ({ release = 'postern', namespace = 'postern' }: RenderOptions) => [
  release,
  chart,
  '--namespace',
  namespace,
]

const valueArguments = ({ values = [], set = {} }: RenderOptions) => [
  ...values.flatMap((file) => ['--values', file]),
  ...Object.entries(set).flatMap(([path, value]) => ['--set-json', `${path}=${JSON.stringify(value)}`]),
]

async function call(helm: string, words: readonly string[]): Promise<string> {
  try {
    const { stdout } = await run(helm, words, { timeout: 30_000, maxBuffer: 16 * 1024 * 1024 })
    return stdout
  } catch (error) {
    // What it says goes to both.
    const said = ['stderr', 'stdout'].map((stream) => (isObject(error) ? String(error[stream] ?? '') : ''))
    throw new Error(`helm ${words[0]}: ${said.join('')}`, { cause: error })
  }
}
