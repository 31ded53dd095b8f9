// What the chart renders for each set of values: as the golden files have it, and as a cluster and the injector need it.
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { injectorCommand } from '../../cli/injector.ts'
import { lintChart, renderChart } from '../../deploy/helm/render.ts'
import { isExcluded } from '../../deploy/injector/options.ts'
import { injectorSettingsSchema } from '../../deploy/injector/settings.ts'
import { helm, isMissing, sets } from './helm.ts'
import { type KubeObject, objectsOf, ofKind, the } from './objects.ts'

const namespace = 'guards'
const clusterWide = /^(Cluster|Mutating|Validating)/

describe.skipIf(isMissing).each(sets)('values $name', async ({ name, file }) => {
  const text = isMissing ? '' : await renderChart(helm, { values: [file], namespace })
  const objects = objectsOf(text)
  const settings = isMissing ? injectorSettingsSchema.parse({}) : settingsOf(objects)

  it('render as their golden file says', async () => {
    await expect(text).toMatchFileSnapshot(`golden/${name}.golden.yaml`)
  })

  it('pass `helm lint --strict`', async () => {
    expect(await lintChart(helm, { values: [file] })).toContain('1 chart(s) linted, 0 chart(s) failed')
  })

  it('make objects of one name each, in the namespace of the release, with the labels', () => {
    const called = objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`)
    expect([...new Set(called)]).toEqual(called)
    for (const { kind, metadata } of [...objects, podOf(objects)]) {
      if (kind !== undefined)
        expect([kind, metadata.namespace]).toEqual([kind, clusterWide.test(kind) ? undefined : namespace])
      expect(metadata.labels).toMatchObject({
        'app.kubernetes.io/name': nameOf(objects),
        'app.kubernetes.io/instance': 'postern',
        'app.kubernetes.io/component': 'injector',
        'app.kubernetes.io/part-of': 'postern',
        'app.kubernetes.io/version': expect.stringMatching(/^\d/),
        'app.kubernetes.io/managed-by': 'Helm',
        'helm.sh/chart': expect.stringMatching(/^postern-\d/),
      })
    }
  })

  it('grant what is needed by name, and nothing by wildcard', () => {
    const rules = ['ClusterRole', 'Role'].flatMap((kind) => ofKind(objects, kind)).flatMap((role) => role.rules)
    const granted = rules.map(({ resources, verbs, resourceNames }) =>
      [resources.join(), verbs.join(), (resourceNames ?? ['any']).join()].join(' '),
    )
    const own = nameOf(objects)
    const configurations = `mutatingwebhookconfigurations,validatingwebhookconfigurations get,patch ${own}`
    const [secrets, leases] = [`secrets get,update ${own}-tls`, `leases get,update ${own}`]
    expect(granted).toEqual([
      'namespaces get any',
      ...(settings.certificate.source === 'self-signed'
        ? [configurations, 'secrets create any', secrets, 'leases create any', leases]
        : []),
    ])
    expect(JSON.stringify(rules)).not.toContain('*')
    const bound = ['ClusterRoleBinding', 'RoleBinding'].flatMap((kind) => ofKind(objects, kind))
    expect(bound.map(({ roleRef }) => `${roleRef.kind}/${roleRef.name}`)).toEqual(
      ['ClusterRole', 'Role']
        .flatMap((kind) => ofKind(objects, kind))
        .map(({ kind, metadata }) => `${kind}/${metadata.name}`),
    )
    for (const { subjects } of bound) {
      expect(subjects).toEqual([
        { kind: 'ServiceAccount', name: the(objects, 'ServiceAccount').metadata.name, namespace },
      ])
    }
  })

  it('run pods that Pod Security `restricted` admits, and that can write nothing', () => {
    const { spec } = podOf(objects)
    expect(spec.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 14_001,
      runAsGroup: 14_001,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    for (const key of ['hostNetwork', 'hostPID', 'hostIPC']) expect(spec[key]).toBeUndefined()
    expect(spec.containers).toHaveLength(1)
    expect(spec.initContainers).toBeUndefined()
    expect(spec.containers[0].securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    for (const mount of spec.containers[0].volumeMounts) expect(mount.readOnly).toBe(true)
    for (const volume of spec.volumes) expect(Object.keys(volume)[1]).toMatch(/^(configMap|secret)$/)
  })

  it('start the injector with options that it has, and settings that it takes', () => {
    const { spec } = podOf(objects)
    const [first, second, ...options] = spec.containers[0].args
    const command = injectorCommand()
    const run = command.commands.find((each) => each.name() === second)
    expect(command.name()).toBe(first)
    expect(run?.options.map(({ long }) => long)).toEqual(
      expect.arrayContaining(options.filter((word: string) => word.startsWith('--'))),
    )
    const [mount] = spec.containers[0].volumeMounts
    expect(options[options.indexOf('--config') + 1]).toBe(`${mount.mountPath}/injector.yaml`)
    expect(spec.volumes[0]).toEqual({ name: mount.name, configMap: { name: the(objects, 'ConfigMap').metadata.name } })
    const { image, imagePullPolicy, ports } = spec.containers[0]
    expect([image, imagePullPolicy]).toEqual([settings.image, settings.pullPolicy])
    expect(ports.map((port: { containerPort: number }) => port.containerPort)).toEqual(
      [settings.listen, settings.metrics].map((address) => Number(address.split(':').at(-1))),
    )
    expect(settings.namespace).toBe(namespace)
  })

  it('lead the API server to the injector, and fail closed', () => {
    const service = the(objects, 'Service')
    const configurations = objects.filter(({ kind }) => kind.endsWith('WebhookConfiguration'))
    const webhooks = configurations.flatMap((configuration) => configuration.webhooks)
    expect(webhooks.map((webhook) => `${webhook.name} ${webhook.clientConfig.service.path}`)).toEqual([
      'pods.postern.dev /mutate',
      'pods.postern.dev /validate',
      'changes.postern.dev /validate',
    ])
    for (const webhook of webhooks) {
      expect(webhook).toMatchObject({
        admissionReviewVersions: ['v1'],
        failurePolicy: 'Fail',
        sideEffects: 'None',
        timeoutSeconds: 5,
      })
      expect(webhook.clientConfig.service).toMatchObject({ name: service.metadata.name, namespace })
      expect(service.spec.ports).toContainEqual({
        name: 'webhook',
        port: webhook.clientConfig.service.port,
        targetPort: 'webhook',
      })
      const [label, names] = webhook.namespaceSelector.matchExpressions
      expect(label).toEqual({ key: 'postern.dev/inject', operator: 'In', values: ['enabled'] })
      expect(names).toMatchObject({ key: 'kubernetes.io/metadata.name', operator: 'NotIn' })
      expect(names.values).toEqual([namespace, ...settings.excludedNamespaces])
      expect(names.values.every((each: string) => isExcluded(each, settings))).toBe(true)
    }
  })

  it('select the pods of the injector wherever they are meant', () => {
    const pod = podOf(objects)
    const selectors = [
      the(objects, 'Deployment').spec.selector.matchLabels,
      the(objects, 'Service').spec.selector,
      ...ofKind(objects, 'PodDisruptionBudget').map(({ spec }) => spec.selector.matchLabels),
      ...ofKind(objects, 'NetworkPolicy').map(({ spec }) => spec.podSelector.matchLabels),
      ...(pod.spec.affinity.podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(
        (term: KubeObject) => term.podAffinityTerm.labelSelector.matchLabels,
      ),
    ]
    for (const selector of selectors) {
      expect(Object.keys(selector).length).toBeGreaterThan(1)
      expect(pod.metadata.labels).toMatchObject(selector)
    }
    for (const { spec } of ofKind(objects, 'ServiceMonitor')) {
      expect(the(objects, 'Service').metadata.labels).toMatchObject(spec.selector.matchLabels)
      const ports = the(objects, 'Service').spec.ports.map((port: { name: string }) => port.name)
      expect(ports).toEqual(expect.arrayContaining(spec.endpoints.map((endpoint: { port: string }) => endpoint.port)))
    }
  })

  it('show a certificate that the API server can be told to trust', () => {
    const { certificate } = settings
    const webhooks = objects.flatMap((object) => object.webhooks ?? [])
    const annotations = objects.flatMap(
      ({ metadata }) => metadata.annotations?.['cert-manager.io/inject-ca-from'] ?? [],
    )
    const host = `${the(objects, 'Service').metadata.name}.${namespace}.svc`
    if (certificate.source === 'self-signed') {
      expect(`${certificate.service}.${namespace}.svc`).toBe(host)
      expect(Object.values(certificate.configurations)).toEqual(
        ['Mutating', 'Validating'].map((kind) => the(objects, `${kind}WebhookConfiguration`).metadata.name),
      )
      const names = the(objects, 'Role').rules.flatMap((rule: { resourceNames?: string[] }) => rule.resourceNames ?? [])
      expect(names).toEqual([certificate.secret, certificate.lease])
      expect([annotations, webhooks.flatMap((webhook) => webhook.clientConfig.caBundle ?? [])]).toEqual([[], []])
      return
    }
    const { volumes, containers } = podOf(objects).spec
    const { secretName } = volumes[1].secret
    const { mountPath } = containers[0].volumeMounts[1]
    expect([certificate.certificate, certificate.key]).toEqual([`${mountPath}/tls.crt`, `${mountPath}/tls.key`])
    if (ofKind(objects, 'Certificate').length > 0) {
      const leaf = the(objects, 'Certificate', secretName)
      expect(leaf.spec).toMatchObject({ secretName, dnsNames: expect.arrayContaining([host]) })
      expect(annotations).toEqual([`${namespace}/${secretName}`, `${namespace}/${secretName}`])
      return
    }
    expect(annotations).toEqual([])
    for (const { clientConfig } of webhooks) {
      expect(new X509Certificate(Buffer.from(clientConfig.caBundle, 'base64')).subject).toContain('Example authority')
    }
  })
})

const nameOf = (objects: readonly KubeObject[]) => the(objects, 'Deployment').metadata.name
const podOf = (objects: readonly KubeObject[]): KubeObject => the(objects, 'Deployment').spec.template

function settingsOf(objects: readonly KubeObject[]) {
  return injectorSettingsSchema.parse(parse(the(objects, 'ConfigMap').data['injector.yaml']))
}

describe.skipIf(isMissing)('the chart', () => {
  it('has five sets of values and more', () => {
    expect(sets.length).toBeGreaterThan(5)
  })

  it('gives the injector what it would do untold, but for the Workload API and the images', async () => {
    const own = injectorSettingsSchema.parse({})
    const { image, captureImage, ...settings } = settingsOf(objectsOf(await renderChart(helm)))
    expect(settings).toEqual({ ...own, spiffe: false, image: undefined, captureImage: undefined })
    expect([image, captureImage]).toEqual([
      expect.stringMatching(/^postern:\d/),
      expect.stringMatching(/^postern-capture:\d/),
    ])
  })

  it('passes on every setting as it is written', async () => {
    const { file } = sets.find(({ name }) => name === 'everything') ?? { file: '' }
    const settings = settingsOf(objectsOf(await renderChart(helm, { values: [file] })))
    const { namespace, image, captureImage, pullPolicy, listen, metrics, certificate } = settings
    const ofTheChart = { namespace, image, captureImage, pullPolicy, listen, metrics, certificate }
    const asked = injectorSettingsSchema.parse(parse(readFileSync(file, 'utf8')).config)
    expect(settings).toEqual({ ...asked, ...ofTheChart })
  })

  it('rolls the pods when a setting changes, and not otherwise', async () => {
    const sum = async (set: object) => {
      const { annotations } = podOf(objectsOf(await renderChart(helm, { set: { ...set } }))).metadata
      return annotations?.['checksum/settings']
    }
    const [one, same, other] = await Promise.all([sum({}), sum({ replicas: 3 }), sum({ 'config.mode': 'explicit' })])
    expect(same).toBe(one)
    expect(other).not.toBe(one)
  })

  it('holds no drain up with a single replica', async () => {
    const objects = objectsOf(await renderChart(helm, { set: { replicas: 1 } }))
    expect(ofKind(objects, 'PodDisruptionBudget')).toEqual([])
  })

  it('keeps names that YAML would read as something else', async () => {
    const set = { name: 'on', priorityClassName: '123', 'config.excludedNamespaces': ['null', '1e3'] }
    const objects = objectsOf(await renderChart(helm, { set, release: '0x1', namespace: '456' }))
    const names = objects.flatMap(({ metadata }) => [
      metadata.name,
      metadata.namespace ?? '',
      ...Object.values(metadata.labels ?? {}),
    ])
    expect(names.filter((value) => typeof value !== 'string')).toEqual([])
    expect(podOf(objects).spec).toMatchObject({ priorityClassName: '123', serviceAccountName: 'on' })
    expect(settingsOf(objects)).toMatchObject({ namespace: '456', excludedNamespaces: ['null', '1e3'] })
  })
})

describe.skipIf(isMissing)('a value that cannot be', () => {
  it.each([
    ['replicas', 0, "'/replicas': minimum: got 0, want 1"],
    ['replica', 3, "'replica' not allowed"],
    ['name', 'Guard_1', "'/name': 'Guard_1' does not match"],
    ['image.digest', 'sha256:1', "'/image/digest': 'sha256:1' does not match"],
    ['image.repository', '', "'/image/repository': minLength"],
    ['image.name', 'postern', "'/image': additional properties 'name' not allowed"],
    ['certificate.mode', 'none', "'/certificate/mode': value must be one of"],
    ['certificate.mode', 'given', "'/certificate/given/secret': minLength"],
    ['certificate.given.caBundle', 'MIIB', "'/certificate/given/caBundle'"],
    ['certificate.selfSigned.lifetime', 'a week', "'/certificate/selfSigned/lifetime'"],
    ['certificate.certManager.issuer.kind', 'Vault', "'/certificate/certManager/issuer/kind'"],
    ['config.mode', 'loose', "'/config/mode': value must be one of"],
    ['config.namespace', 'here', "'/config': additional properties 'namespace' not allowed"],
    ['config.certificate', {}, "'/config': additional properties 'certificate' not allowed"],
    ['config.proxy.uid', 0, "'/config/proxy/uid': minimum"],
    ['config.spiffe', true, "'/config/spiffe'"],
    ['config.exempt', [{ name: 'istio-init' }], "'/config/exempt/0': missing property 'image'"],
    ['ports.webhook', 443, "'/ports/webhook': minimum"],
    ['address', 'localhost', "'/address': 'localhost' does not match"],
    ['logLevel', 'loud', "'/logLevel': value must be one of"],
    ['resources.limits.memory', 256, "'/resources/limits/memory': got number, want string"],
    ['networkPolicy.apiServer.cidrs', [], "'/networkPolicy/apiServer/cidrs': minItems"],
    ['networkPolicy.apiServer.ports', ['https'], "'/networkPolicy/apiServer/ports/0': got string, want integer"],
    ['serviceMonitor.interval', 30, "'/serviceMonitor/interval': got number, want string"],
    ['failurePolicy', 'Ignore', "'failurePolicy' not allowed"],
  ])('is refused by its name: %s %j', async (path, value, told) => {
    await expect(renderChart(helm, { set: { [path]: value } })).rejects.toThrow(told)
  })
})
