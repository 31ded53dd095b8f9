// Whatever the injector makes is what the API of Kubernetes knows: no field that it would drop, none of another type.
// The API's own schema stands in for it, as types for the compiler; it is strict about literals.
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { modes } from '../../../deploy/injector/mode.ts'
import { mutate } from '../../../deploy/injector/mutate.ts'
import { injectorSettingsSchema } from '../../../deploy/injector/settings.ts'
import { namespace, pod, settings } from './pods.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../../../', import.meta.url))

interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
}

/** Where the types have a kind: `apps/v1` for `apps/v1`, `core/v1` for `v1`, `rbac/v1` for `rbac.authorization.k8s.io/v1`. */
function moduleOf({ apiVersion }: KubeObject): string {
  const [group = '', version] = apiVersion.includes('/') ? apiVersion.split('/') : ['core', apiVersion]
  return `${group.split('.')[0]}/${version}`
}

/** A null counts as nothing said, which the types do not know. */
const withoutNull = (object: KubeObject) => JSON.stringify(object, (_, value) => value ?? undefined)

/** @returns what the compiler has against them */
async function held(objects: readonly KubeObject[]): Promise<string> {
  const folder = mkdtempSync(join(root, 'node_modules', '.schema-'))
  const lines = objects.map(
    (object, index) =>
      `export const object${index}: import('kubernetes-types/${moduleOf(object)}').${object.kind} = ${withoutNull(object)}\n`,
  )
  const file = join(folder, 'objects.ts')
  writeFileSync(file, lines.join(''))
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const args = [compiler, '--noEmit', '--strict', '--skipLibCheck', '--ignoreConfig', '--types', '', file]
  try {
    await run(process.execPath, args)
    return ''
  } catch (error) {
    return String((error as { readonly stdout?: string }).stdout)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const golden = new URL('./golden/', import.meta.url)

const goldenPods = readdirSync(golden)
  .filter((name) => name.endsWith('.golden.yaml'))
  .map((name) => parse(readFileSync(new URL(name, golden), 'utf8')).pod)
  .filter((found) => found !== undefined)
  .map((found) => ({ apiVersion: 'v1', kind: 'Pod', ...found }))

describe('by the schema of the API', () => {
  it('injected pods of each mode, as patched, are sound', async () => {
    const all = modes.flatMap((mode) =>
      [settings, injectorSettingsSchema.parse({ spiffe: false, resources: { cpuLimit: '1' } })].map((by) => {
        const outcome = mutate(pod(), namespace({ mode }), by)
        if (outcome.kind !== 'injected') throw new Error(JSON.stringify(outcome))
        return outcome.pod as unknown as KubeObject
      }),
    )
    expect(all.length).toBe(2 * modes.length)
    expect(await held(all)).toBe('')
  })

  it('the golden ones are', async () => {
    expect(goldenPods.length).toBeGreaterThanOrEqual(7)
    expect(await held(goldenPods)).toBe('')
  })

  it('a field of another name, or of another type, is found', async () => {
    const text = JSON.stringify(pod({ spec: { initContainers: [{ name: 'postern', restartPolicy: 'Always' }] } }))
    expect(await held([JSON.parse(text)])).toBe('')
    expect(await held([JSON.parse(text.replace('restartPolicy', 'restartPolcy'))])).toMatch(/restartPolcy/)
    expect(await held([JSON.parse(text.replace('"Always"', '1'))])).toMatch(/'number' is not assignable/)
  })
})
