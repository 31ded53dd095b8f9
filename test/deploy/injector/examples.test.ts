// The examples for Kubernetes: run through the injector, and held to what the code calls its things.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { paths } from '../../../deploy/injector/parts.ts'
import { render } from '../../../deploy/injector/render.ts'
import { injectorSettingsSchema } from '../../../deploy/injector/settings.ts'
import { loadConfig } from '../../../proxy/config/load.ts'

const folder = new URL('../../../deploy/examples/kubernetes/', import.meta.url)
const read = (name: string) => readFileSync(new URL(name, folder), 'utf8')

interface Document {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels?: Record<string, string> }
  readonly data?: Record<string, string>
  // biome-ignore lint/suspicious/noExplicitAny: each kind has another shape, and a wrong one fails the test
  readonly [key: string]: any
}

const documentsOf = (name: string): Document[] => parseAllDocuments(read(name)).map((document) => document.toJS())
const find = (all: readonly Document[], kind: string) => {
  const found = all.find((each) => each.kind === kind)
  if (found === undefined) throw new Error(`no ${kind}`)
  return found
}

const settings = injectorSettingsSchema.parse(
  parse(find(documentsOf('injector.yaml'), 'ConfigMap').data?.['injector.yaml'] ?? ''),
)

describe('the agents of the example', () => {
  const all = documentsOf('agents.yaml')
  const labels = find(all, 'Namespace').metadata.labels ?? {}
  const { pods, yaml } = render(read('agents.yaml'), { name: 'agents', labels, annotations: {} }, settings)

  it('are injected, each of them, without a warning', () => {
    expect(pods.map(({ called, refusals, skipped, warnings }) => ({ called, refusals, skipped, warnings }))).toEqual(
      ['Deployment/researcher', 'CronJob/report'].map((called) => ({
        called,
        refusals: [],
        skipped: undefined,
        warnings: [],
      })),
    )
    expect(pods.every(({ diff }) => diff.length > 50)).toBe(true)
  })

  it('satisfy Pod Security `restricted`, our sidecar included', () => {
    const rendered: Document[] = parseAllDocuments(yaml).map((document) => document.toJS())
    const { spec } = find(rendered, 'Deployment').spec.template
    for (const container of [...spec.initContainers, ...spec.containers]) {
      expect(container.securityContext).toMatchObject({
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
      })
      expect(container.securityContext.capabilities.add).toBeUndefined()
      expect(container.securityContext.runAsNonRoot ?? spec.securityContext.runAsNonRoot).toBe(true)
      expect(container.securityContext.seccompProfile ?? spec.securityContext.seccompProfile).toEqual({
        type: 'RuntimeDefault',
      })
    }
    expect(spec.volumes.map((volume: object) => Object.keys(volume)[1])).toEqual(
      expect.not.arrayContaining(['hostPath']),
    )
    expect(spec.initContainers.map(({ name }: { name: string }) => name)).toEqual(['postern', 'fetch-tools'])
  })

  it('are injected once: rendered again, nothing differs', () => {
    const again = render(yaml, { name: 'agents', labels, annotations: {} }, settings)
    expect(again.pods.map(({ diff }) => diff)).toEqual([[], []])
  })

  it('have a proxy whose configuration opens what the injector counts on', async () => {
    const place = mkdtempSync(join(tmpdir(), 'postern-example-'))
    try {
      writeFileSync(join(place, 'crm-key'), 'a key')
      const text = read('postern.yaml')
      const file = join(place, 'postern.yaml')
      writeFileSync(file, text)
      const config = await loadConfig(file, {})
      expect(config.listen[0]?.address).toEqual({ kind: 'tcp', host: '127.0.0.1', port: settings.ports.explicit })
      expect(config.trust?.directory).toBe(settings.trustDirectory)
      expect(JSON.stringify(config.admin)).toContain(String(settings.ports.metrics))
      expect(text).toContain(`${paths.credentials}/`)
    } finally {
      rmSync(place, { recursive: true })
    }
  })
})

describe('the careless pod', () => {
  it('is refused for everything at once', () => {
    const namespace = { name: 'agents', labels: { 'postern.dev/inject': 'enabled' }, annotations: {} }
    const { pods } = render(read('careless.yaml'), namespace, settings)
    expect(new Set(pods[0]?.refusals.map(({ reason }) => reason))).toEqual(
      new Set([
        'unknown_option',
        'host_network',
        'host_path',
        'proxy_identity',
        'capability',
        'privilege_escalation',
        'secret_reserved',
      ]),
    )
    expect(pods[0]?.refusals[0]?.mend).toBe('Did you mean postern.dev/mode?')
  })
})

describe('the installation', () => {
  const all = documentsOf('injector.yaml')
  const { certificate } = settings
  if (certificate.source !== 'self-signed') throw new Error('the example rotates its own certificate')

  it('names everything as the settings do', () => {
    expect(find(all, 'Service').metadata).toMatchObject({ name: certificate.service, namespace: settings.namespace })
    expect(find(all, 'MutatingWebhookConfiguration').metadata.name).toBe(certificate.configurations.mutating)
    expect(find(all, 'ValidatingWebhookConfiguration').metadata.name).toBe(certificate.configurations.validating)
    const { rules } = find(all, 'Role')
    expect(rules.flatMap((rule: { resourceNames?: string[] }) => rule.resourceNames ?? [])).toEqual([
      certificate.secret,
      certificate.lease,
    ])
  })

  it('fails closed, and never waits for itself', () => {
    for (const kind of ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration']) {
      for (const webhook of find(all, kind).webhooks) {
        expect(webhook).toMatchObject({ failurePolicy: 'Fail', sideEffects: 'None', timeoutSeconds: 5 })
        const [label, names] = webhook.namespaceSelector.matchExpressions
        expect(label).toEqual({ key: 'postern.dev/inject', operator: 'In', values: ['enabled'] })
        expect(names.values).toEqual([settings.namespace, ...settings.excludedNamespaces])
      }
    }
  })

  it('has the image that the sidecars have', () => {
    const { image } = find(all, 'Deployment').spec.template.spec.containers[0]
    expect(image).toBe(settings.image)
  })
})
