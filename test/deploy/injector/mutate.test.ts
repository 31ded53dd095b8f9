import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { captureCommand } from '../../../cli/capture.ts'
import { type Injected, mutate, mutateEphemeral } from '../../../deploy/injector/mutate.ts'
import type { Namespace } from '../../../deploy/injector/options.ts'
import { injectorSettingsSchema } from '../../../deploy/injector/settings.ts'
import { validate } from '../../../deploy/injector/validate.ts'
import { applyPatch } from '../../support/apply-patch.ts'
import { copy, namespace, pod, settings, sound } from './pods.ts'

function injected(given: unknown, where: Namespace = namespace(), by = settings): Injected {
  const outcome = mutate(given, where, by)
  if (outcome.kind !== 'injected') throw new Error(JSON.stringify(outcome))
  return outcome
}

const reasonsOf = (given: unknown, where = namespace(), by = settings) => {
  const outcome = mutate(given, where, by)
  return outcome.kind === 'refused' ? outcome.refusals.map(({ reason, where: at }) => `${reason}: ${at}`) : outcome.kind
}

const initNames = ({ pod: { spec } }: Injected) => spec.initContainers?.map(({ name }) => name)

describe('what is not injected', () => {
  it.each([
    ['namespace_not_labelled', { name: 'agents', labels: {}, annotations: {} }],
    ['namespace_not_labelled', { name: 'agents', labels: { 'postern.dev/inject': 'disabled' }, annotations: {} }],
    ['namespace_excluded', { ...namespace(), name: 'kube-system' }],
    ['namespace_excluded', { ...namespace(), name: 'postern' }],
  ])('is skipped: %s', (reason, where) => {
    expect(mutate(pod({ spec: { hostNetwork: true } }), where, settings)).toEqual({ kind: 'skipped', reason })
  })

  it('is a namespace that only an annotation marks, since webhooks select by label', () => {
    const where = { name: 'agents', labels: {}, annotations: { 'postern.dev/inject': 'enabled' } }
    expect(mutate(pod(), where, settings)).toMatchObject({ kind: 'skipped' })
  })

  it('is a pod that opts out, where its namespace allows that', () => {
    const given = pod({ metadata: { labels: { 'postern.dev/inject': 'disabled' } } })
    expect(reasonsOf(given)).toEqual(['option_not_allowed: the pod'])
    expect(mutate(given, namespace({ 'opt-out': 'allowed' }), settings)).toEqual({
      kind: 'skipped',
      reason: 'opted_out',
    })
  })
})

describe('a pod that is refused', () => {
  it.each([
    ['postern.dev/moed', 'Did you mean postern.dev/mode?'],
    ['postern.dev/statsu', 'Did you mean postern.dev/status?'],
    ['postern.dev/completely-else', 'There is postern.dev/inject, '],
  ])('has the annotation %s, which is not known', (key, mend) => {
    const outcome = mutate(pod({ metadata: { annotations: { [key]: 'x' } } }), namespace(), settings)
    expect(outcome).toMatchObject({ refusals: [{ reason: 'unknown_option', mend: expect.stringContaining(mend) }] })
  })

  it('is in a namespace with a label that is not known', () => {
    const outcome = mutate(pod(), namespace({ hardn: 'rewrite' }), settings)
    expect(outcome).toMatchObject({
      refusals: [{ where: 'namespace agents', mend: 'Did you mean postern.dev/harden?' }],
    })
  })

  it.each([
    ['mode', 'Transparent', 'bad_option'],
    ['memory-limit', 'lots', 'bad_option'],
    ['policy', 'configmap/../x', 'bad_option'],
    ['mode', 'explicit', 'option_not_allowed'],
    ['policy', 'other', 'option_not_allowed'],
    ['policy', 'secret/postern', 'option_not_allowed'],
  ])('asks for %s: %s', (name, value, reason) => {
    expect(reasonsOf(pod({ metadata: { annotations: { [`postern.dev/${name}`]: value } } }))).toEqual([
      `${reason}: the pod`,
    ])
  })

  it.each([
    ['not an object', 'pod'],
    ['without containers', { metadata: {}, spec: {} }],
    ['with a container that has no name', pod({ container: { name: 7 } })],
    ['with flags that are none', pod({ spec: { hostNetwork: 'true' } })],
  ])('is no pod: %s', (_, given) => {
    expect(reasonsOf(given)).toEqual([expect.stringMatching(/^unreadable_pod/)])
  })

  it('calls a container or volume like ours', () => {
    const evil = { name: 'postern', image: 'evil', securityContext: sound }
    expect(reasonsOf(pod({ container: { name: 'postern' } }))).toEqual(['name_taken: container postern'])
    expect(reasonsOf(pod({ spec: { initContainers: [evil] } }))).toContain('name_taken: container postern')
    expect(reasonsOf(pod({ spec: { volumes: [{ name: 'postern-trust', emptyDir: {} }] } }))).toEqual([
      'name_taken: volume postern-trust',
    ])
  })

  it.each([
    ['the trust files, to write', { name: 'postern-trust', mountPath: '/run/postern-trust' }],
    ['the trust files, elsewhere', { name: 'postern-trust', mountPath: '/x', readOnly: true }],
    [
      'part of the trust files',
      { name: 'postern-trust', mountPath: '/run/postern-trust', readOnly: true, subPath: 'x' },
    ],
    ['the token', { name: 'postern-token', mountPath: '/x', readOnly: true }],
    ['the credentials', { name: 'postern-credentials', mountPath: '/x', readOnly: true }],
  ])('mounts what is for the proxy: %s', (_, mount) => {
    expect(reasonsOf(pod({ container: { volumeMounts: [mount] } }))).toEqual(['volume_reserved: container agent'])
  })

  it('reads a file of the proxy into a variable', () => {
    const env = [{ name: 'K', valueFrom: { fileKeyRef: { volumeName: 'postern-state', path: 'x', key: 'k' } } }]
    expect(reasonsOf(pod({ container: { env } }))).toEqual(['volume_reserved: container agent'])
  })

  it('mounts something where the trust files go, and has the port of the proxy', () => {
    const container = {
      volumeMounts: [
        { name: 'a', mountPath: '/run/postern-trust/trust' },
        { name: 'b', mountPath: '/run/postern-trusted' },
      ],
      ports: [{ containerPort: 15_901 }, { containerPort: 8080 }],
    }
    expect(reasonsOf(pod({ container }))).toEqual(['path_taken: container agent', 'port_taken: container agent'])
  })

  it.each([
    ['a volume', { spec: { volumes: [{ name: 'v', secret: { secretName: 'postern-credentials' } }] } }, 'volume v'],
    [
      'a projected volume',
      { spec: { volumes: [{ name: 'v', projected: { sources: [{ secret: { name: 'postern-credentials' } }] } }] } },
      'volume v',
    ],
    [
      'a variable',
      { container: { env: [{ name: 'K', valueFrom: { secretKeyRef: { name: 'postern-credentials', key: 'k' } } }] } },
      'container agent',
    ],
    ['all variables', { container: { envFrom: [{ secretRef: { name: 'postern-credentials' } }] } }, 'container agent'],
  ])('would see the credentials of the proxy, by %s', (_, changes, at) => {
    expect(reasonsOf(pod(changes))).toEqual([`secret_reserved: ${at}`])
  })

  it('would see the Secret that holds the configuration', () => {
    const given = pod({ container: { envFrom: [{ secretRef: { name: 'gate' } }] } })
    const where = namespace({}, { 'postern.dev/policy': 'secret/gate' })
    expect(reasonsOf(given, where)).toEqual(['secret_reserved: container agent'])
    expect(reasonsOf(given)).toBe('injected')
  })
})

describe('a pod that is injected', () => {
  it.each([
    ['explicit', ['postern', 'first', 'second']],
    ['cni', ['postern-validate', 'postern', 'first', 'second']],
    ['transparent', ['postern-init', 'postern', 'first', 'second']],
  ])('has rules and proxy before all others: %s', (mode, names) => {
    const initContainers = ['first', 'second'].map((name) => ({ name, image: 'x', securityContext: sound }))
    const outcome = injected(pod({ spec: { initContainers } }), namespace({ mode }))
    expect(initNames(outcome)).toEqual(names)
    expect(outcome.mode).toBe(mode)
    const privileged = outcome.pod.spec.initContainers?.filter(({ securityContext: s }) => s?.capabilities?.add != null)
    expect(privileged?.map(({ name, securityContext }) => [name, securityContext?.capabilities])).toEqual(
      mode === 'transparent' ? [['postern-init', { add: ['NET_ADMIN'], drop: ['ALL'] }]] : [],
    )
  })

  it.each(['transparent', 'cni'])('starts a command that there is, with options that it has: %s', (mode) => {
    const outcome = injected(pod(), namespace({ mode }))
    const [name = '', below, ...args] = (outcome.pod.spec.initContainers?.[0]?.args ?? []) as string[]
    expect(name).toBe('capture')
    const command = captureCommand().commands.find((each) => each.name() === below)
    const known = command?.options.map(({ long }) => long) ?? []
    expect(args.filter((word) => word.startsWith('--') && !known.includes(word))).toEqual([])
    expect(command?.options.filter(({ mandatory, long }) => mandatory && !args.includes(long ?? ''))).toEqual([])
  })

  it('may ask for what holds it better', () => {
    const given = pod({ metadata: { annotations: { 'postern.dev/mode': 'transparent' } } })
    expect(injected(given, namespace({ mode: 'explicit' })).mode).toBe('transparent')
  })

  it('may choose among the policies that its namespace names', () => {
    const given = pod({ metadata: { annotations: { 'postern.dev/policy': 'secret/night' } } })
    const outcome = injected(given, namespace({ policy: 'day' }, { 'postern.dev/policies': 'evening, secret/night' }))
    expect(outcome.pod.spec.volumes?.find(({ name }) => name === 'postern-config')).toEqual({
      name: 'postern-config',
      secret: { secretName: 'night', defaultMode: 0o644 },
    })
  })

  it('sets every variable of trust in every other container, over those that are there, and says so', () => {
    const env = [
      { name: 'SSL_CERT_FILE', value: '/etc/own.pem' },
      { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'own', key: 'k' } } },
    ]
    const initContainers = [{ name: 'first', image: 'x', securityContext: sound }]
    const outcome = injected(pod({ spec: { initContainers }, container: { env } }))
    const { containers, initContainers: inits = [] } = outcome.pod.spec
    for (const container of [containers[0], inits?.at(-1)]) {
      expect(container?.env).toContainEqual({ name: 'SSL_CERT_FILE', value: '/run/postern-trust/trust/combined.pem' })
      expect(container?.volumeMounts).toEqual([
        { name: 'postern-trust', mountPath: '/run/postern-trust', readOnly: true },
      ])
    }
    expect(containers[0]?.env?.slice(0, 2).map(({ name }) => name)).toEqual(['SSL_CERT_FILE', 'TOKEN'])
    expect(outcome.warnings).toEqual(['container agent: set anew, for the proxy: SSL_CERT_FILE'])
  })

  it('gives the token, the credentials and the socket to the sidecar alone', () => {
    const { pod: after } = injected(
      pod({ spec: { initContainers: [{ name: 'first', image: 'x', securityContext: sound }] } }),
    )
    const all = [...(after.spec.initContainers ?? []), ...after.spec.containers]
    const holders = (volume: string) =>
      all.filter(({ volumeMounts }) => volumeMounts?.some(({ name }) => name === volume)).map(({ name }) => name)
    for (const volume of ['postern-token', 'postern-credentials', 'postern-spiffe', 'postern-config', 'postern-state'])
      expect([volume, holders(volume)]).toEqual([volume, ['postern']])
    expect(holders('postern-trust')).toEqual(['postern', 'first', 'agent'])
  })

  it('is given resources as it asks for, and again the same as the API server writes them', () => {
    const annotations = {
      'postern.dev/cpu-request': '0.2',
      'postern.dev/cpu-limit': '1',
      'postern.dev/memory-limit': '0.5Gi',
    }
    const outcome = injected(pod({ metadata: { annotations } }))
    const sidecar = outcome.pod.spec.initContainers?.find(({ name }) => name === 'postern')
    expect(sidecar?.resources).toEqual({
      requests: { cpu: '0.2', memory: '128Mi' },
      limits: { cpu: '1', memory: '0.5Gi' },
    })
    const back = copy(outcome.pod)
    const again = back.spec.initContainers?.find(({ name }) => name === 'postern')
    if (again !== undefined)
      again.resources = { requests: { cpu: '200m', memory: '128Mi' }, limits: { cpu: '1', memory: '512Mi' } }
    expect(injected(back).patch).toEqual([])
  })

  it('says in an annotation what was put in, with a hash that changes with it', () => {
    const status = (outcome: Injected) => JSON.parse(outcome.pod.metadata.annotations?.['postern.dev/status'] ?? '')
    const one = status(injected(pod(), namespace({ mode: 'explicit' })))
    expect(one).toMatchObject({
      mode: 'explicit',
      policy: 'configmap/postern',
      containers: ['postern'],
      hash: expect.stringMatching(/^[0-9a-f]{16}$/),
    })
    expect(one.enforced).toContain('NetworkPolicy')
    const other = injectorSettingsSchema.parse({ image: 'registry.example/postern:2' })
    expect(status(injected(pod(), namespace({ mode: 'explicit' }), other)).hash).not.toBe(one.hash)
  })

  it('leaves out the socket where there is no SPIFFE driver', () => {
    const without = injectorSettingsSchema.parse({ spiffe: false })
    expect(JSON.stringify(injected(pod(), namespace(), without).pod)).not.toContain('spiffe')
  })
})

describe('a pod that is looked at again', () => {
  const back = (mode = 'transparent') => copy(injected(pod(), namespace({ mode })).pod)

  it('is left as it is, with what the API server added', () => {
    const given = back()
    given.metadata.uid = '1'
    for (const container of [...(given.spec.initContainers ?? []), ...given.spec.containers]) {
      container.resizePolicy = [{ resourceName: 'cpu', restartPolicy: 'NotRequired' }]
      container.volumeMounts = [
        ...(container.volumeMounts ?? []),
        { name: 'kube-api-access-x7k2p', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', readOnly: true },
      ]
    }
    given.spec.volumes?.push({ name: 'kube-api-access-x7k2p', projected: { sources: [] } })
    expect(injected(given).patch).toEqual([])
    expect(validate(given, namespace(), settings)).toEqual({ kind: 'intact' })
  })

  it.each([
    ['another image', { image: 'evil' }],
    ['a command', { command: ['sh'] }],
    ['a variable', { env: [{ name: 'NODE_OPTIONS', value: '--require /x' }] }],
    ['a mount', { volumeMounts: [{ name: 'x', mountPath: '/etc/postern' }] }],
    ['a message from a file', { terminationMessagePath: '/var/run/secrets/postern.dev/token' }],
    ['more rights', { securityContext: { privileged: true } }],
    ['no restart', { restartPolicy: undefined }],
  ])('gets its proxy anew where that has %s', (_, change) => {
    const given = back()
    const altered = given.spec.initContainers?.[1]
    if (altered !== undefined) Object.assign(altered, change)
    const outcome = injected(given)
    expect(outcome.pod.spec.initContainers).toEqual(injected(pod()).pod.spec.initContainers)
    expect(validate(given, namespace(), settings)).toMatchObject({ refusals: [{ reason: 'sidecar_altered' }] })
  })

  it('gets other parts where its namespace has another mode now', () => {
    const outcome = injected(back('transparent'), namespace({ mode: 'explicit' }))
    expect(initNames(outcome)).toEqual(['postern'])
  })

  it('is not believed where it says that a container of its own is ours', () => {
    const status = JSON.stringify({ containers: ['postern'], volumes: ['postern-trust'] })
    const given = pod({
      metadata: { annotations: { 'postern.dev/status': status } },
      spec: {
        initContainers: [{ name: 'postern', image: 'evil', securityContext: { privileged: true } }],
        volumes: [{ name: 'postern-trust', hostPath: { path: '/' } }],
      },
    })
    const outcome = mutate(given, namespace(), settings)
    const names = injected(pod()).pod
    if (outcome.kind === 'injected') {
      expect(outcome.pod.spec.initContainers).toEqual(names.spec.initContainers)
      expect(outcome.pod.spec.volumes).toEqual(names.spec.volumes)
    } else expect(outcome).toMatchObject({ kind: 'refused' })
  })
})

describe('a container that is added to a pod that runs', () => {
  const before = copy(injected(pod()).pod)
  const added = (container: object) => ({
    ...copy(before),
    spec: { ...copy(before.spec), ephemeralContainers: [{ name: 'debugger', image: 'x', ...container }] },
  })
  const judged = (container: object, labels = {}) =>
    mutateEphemeral(added(container), before, namespace(labels), settings)

  it('is refused where it could get round the proxy, or sees its processes', () => {
    expect(judged({})).toMatchObject({ refusals: [{ reason: 'capability' }, { reason: 'privilege_escalation' }] })
    expect(judged({ securityContext: { ...sound, runAsUser: 14_001 } })).toMatchObject({
      refusals: [{ reason: 'proxy_identity' }],
    })
    expect(judged({ securityContext: sound, targetContainerName: 'postern' })).toMatchObject({
      refusals: [{ reason: 'targets_proxy' }],
    })
    const mount = { name: 'postern-token', mountPath: '/x' }
    expect(judged({ securityContext: sound, volumeMounts: [mount] })).toMatchObject({
      refusals: [{ reason: 'volume_reserved' }],
    })
  })

  it('is hardened where the namespace says so, and trusts the proxy', () => {
    const outcome = judged({}, { harden: 'rewrite' })
    if (outcome.kind !== 'injected') throw new Error(JSON.stringify(outcome))
    expect(outcome.patch.map(({ path }) => path).every((path) => path.startsWith('/spec/ephemeralContainers/0/'))).toBe(
      true,
    )
    expect(outcome.pod.spec.ephemeralContainers?.[0]).toMatchObject({
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['NET_RAW', 'SETGID', 'SETUID'] } },
      volumeMounts: [{ name: 'postern-trust', readOnly: true }],
    })
    const again = mutateEphemeral(copy(outcome.pod), before, namespace({ harden: 'rewrite' }), settings)
    expect(again).toMatchObject({ patch: [] })
  })

  it('is told of the proxy as the pod is that it comes into, whatever its namespace says by now', () => {
    const old = copy(injected(pod(), namespace({ mode: 'explicit' })).pod)
    const given = {
      ...old,
      spec: { ...old.spec, ephemeralContainers: [{ name: 'd', image: 'x', securityContext: sound }] },
    }
    const outcome = mutateEphemeral(given, old, namespace({ mode: 'transparent' }), settings)
    expect(JSON.stringify(outcome)).toContain('HTTPS_PROXY')
  })

  it('is let alone where it was there already, since the API allows no change of it', () => {
    const there = added({})
    expect(mutateEphemeral(there, there, namespace(), settings)).toMatchObject({ patch: [] })
  })

  it('is let alone in a pod without the proxy', () => {
    expect(mutateEphemeral(pod(), pod(), namespace(), settings)).toEqual({ kind: 'skipped', reason: 'not_injected' })
  })
})

describe('with other injectors', () => {
  const others = new URL('./others/', import.meta.url)

  it.each(['istio', 'linkerd'])('%s comes after: ours is brought to the front again', (name) => {
    const fixture = parse(readFileSync(new URL(`${name}.yaml`, others), 'utf8'))
    const by = injectorSettingsSchema.parse({ exempt: fixture.exempt })
    const first = injected(pod({ metadata: { labels: {} } }), namespace(), by)
    const theirs = applyPatch(copy(first.pod), fixture.patch)
    expect(validate(theirs, namespace(), by)).toMatchObject({ refusals: [{ reason: 'sidecar_not_first' }] })
    const second = injected(theirs, namespace(), by)
    expect(initNames(second)).toEqual(['postern-init', 'postern', ...fixture.containers])
    expect(validate(copy(second.pod), namespace(), by)).toEqual({ kind: 'intact' })
    const theirContainer = second.pod.spec.initContainers?.at(-1)
    expect(theirContainer?.volumeMounts).toContainEqual({
      name: 'postern-trust',
      mountPath: '/run/postern-trust',
      readOnly: true,
    })
  })

  it.each(['istio', 'linkerd'])('%s comes before: it is refused unless it is exempt', (name) => {
    const fixture = parse(readFileSync(new URL(`${name}.yaml`, others), 'utf8'))
    const prepared = pod({ metadata: { labels: {}, annotations: {} }, spec: { volumes: [], initContainers: [] } })
    const theirs = applyPatch(prepared, fixture.patch)
    expect(reasonsOf(theirs)).toContain(`capability: container ${fixture.containers[0]}`)
    expect(reasonsOf(theirs, namespace(), injectorSettingsSchema.parse({ exempt: fixture.exempt }))).toBe('injected')
  })
})

/** To write them anew: POSTERN_GOLDEN=write. A new one is a file with `namespace` and `pod`. */
describe('the golden pods', () => {
  const folder = new URL('./golden/', import.meta.url)
  const cases = readdirSync(folder).filter((file) => file.endsWith('.pod.yaml'))

  it('are there', () => expect(cases.length).toBeGreaterThan(7))

  it.each(cases)('%s', (file) => {
    const given = parse(readFileSync(new URL(file, folder), 'utf8'))
    const where = { name: 'agents', labels: {}, annotations: {}, ...given.namespace }
    const outcome = mutate(given.pod, where, injectorSettingsSchema.parse({ ...settingsText, ...given.settings }))
    const got =
      outcome.kind === 'injected' ? { pod: applyPatch(given.pod, outcome.patch), warnings: outcome.warnings } : outcome
    const golden = new URL(file.replace('.pod.yaml', '.golden.yaml'), folder)
    if (process.env.POSTERN_GOLDEN === 'write') {
      writeFileSync(golden, stringify(got, { aliasDuplicateObjects: false, lineWidth: 0 }))
    }
    expect(copy(got)).toEqual(parse(readFileSync(golden, 'utf8')))
  })
})

const settingsText = { image: 'registry.example/postern:1', captureImage: 'registry.example/postern-capture:1' }

describe('any pod', () => {
  const names = ['agent', 'helper', 'istio-proxy', 'a', 'b', 'c', 'd', 'postern', 'postern-init']
  const text = fc.constantFrom('', 'a', '/x', '/run/postern-trust', 'postern-credentials', '$(HOME)')
  const variable = fc.record(
    {
      name: fc.constantFrom('SSL_CERT_FILE', 'JAVA_TOOL_OPTIONS', 'HTTPS_PROXY', 'grpc_proxy', 'PATH', 'NO_PROXY'),
      value: fc.oneof(text, fc.constantFrom('-Xmx1g -Djavax.net.ssl.trustStore="/a b"', '"', "-Da='x y' 'z")),
      valueFrom: fc.constantFrom(undefined, { configMapKeyRef: { name: 'x', key: 'y' } }),
    },
    { requiredKeys: ['name'] },
  )
  const securityContext = fc.record(
    {
      privileged: fc.boolean(),
      allowPrivilegeEscalation: fc.boolean(),
      runAsUser: fc.constantFrom(0, 1000, 14_001),
      procMount: fc.constantFrom('Default', 'Unmasked'),
      capabilities: fc.record(
        {
          add: fc.subarray(['NET_ADMIN', 'CHOWN', 'cap_setuid', 'ALL']),
          drop: fc.subarray(['ALL', 'NET_RAW', 'SETUID', 'SETGID']),
        },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: [] },
  )
  const container = fc.record(
    {
      name: fc.constantFrom(...names),
      image: fc.constant('x'),
      restartPolicy: fc.constantFrom(undefined, 'Always'),
      env: fc.oneof(fc.constant(null), fc.array(variable, { maxLength: 5 })),
      volumeMounts: fc.array(
        fc.record({ name: fc.constantFrom('data', 'data', 'data', 'postern-trust'), mountPath: text }),
        {
          maxLength: 2,
        },
      ),
      securityContext: fc.oneof(
        { weight: 1, arbitrary: fc.constant(null) },
        { weight: 6, arbitrary: fc.constant(sound) },
        { weight: 3, arbitrary: securityContext },
      ),
    },
    { requiredKeys: ['name'] },
  )
  const containers = (minLength: number) =>
    fc.uniqueArray(container, { minLength, maxLength: 3, selector: ({ name }) => name })
  const anyPod = fc.record({
    metadata: fc.record(
      {
        labels: fc.constantFrom(undefined, null, { app: 'x' }, { 'postern.dev/inject': 'enabled' }),
        annotations: fc.constantFrom(
          undefined,
          { 'postern.dev/mode': 'transparent' },
          { 'postern.dev/status': '{"containers":["postern","postern-init"],"volumes":["postern-trust"]}' },
          { 'postern.dev/status': 'no JSON' },
          { 'postern.dev/cpu-limit': '0.5' },
        ),
      },
      { requiredKeys: [] },
    ),
    spec: fc.record(
      {
        hostNetwork: fc.boolean(),
        hostPID: fc.boolean(),
        containers: containers(1),
        initContainers: fc.oneof(fc.constant(null), containers(0)),
        volumes: fc.constantFrom(
          null,
          [{ name: 'data', emptyDir: {} }],
          [
            { name: 'data', emptyDir: {} },
            { name: 'more', emptyDir: {} },
          ],
          [{ name: 'postern-trust', emptyDir: {} }],
        ),
      },
      { requiredKeys: ['containers'] },
    ),
  })
  const anyNamespace = fc
    .record({ mode: fc.constantFrom('explicit', 'cni', 'transparent'), harden: fc.constantFrom('refuse', 'rewrite') })
    .map((labels) => namespace(labels))

  it('is injected once: the patch leads to what is said, and a second time changes nothing', () => {
    let count = 0
    fc.assert(
      fc.property(anyPod, anyNamespace, (made, where) => {
        const given = copy(made)
        const outcome = mutate(given, where, settings)
        if (outcome.kind !== 'injected') return
        count += 1
        const after = applyPatch(given, copy(outcome.patch) as never)
        expect(after).toEqual(copy(outcome.pod))
        expect(mutate(after, where, settings)).toMatchObject({ kind: 'injected', patch: [] })
        expect(validate(after, where, settings)).toEqual({ kind: 'intact' })
      }),
      { numRuns: 1_500 },
    )
    expect(count).toBeGreaterThan(100)
  })

  it('that is injected has the proxy first, and nothing else in it that could get round it', () => {
    fc.assert(
      fc.property(anyPod, anyNamespace, (made, where) => {
        const outcome = mutate(copy(made), where, settings)
        if (outcome.kind !== 'injected') return
        const { initContainers, containers: mains, hostNetwork, hostPID } = outcome.pod.spec
        const inits = initContainers ?? []
        expect([hostNetwork, hostPID]).not.toContain(true)
        const first = inits.findIndex(({ restartPolicy }) => restartPolicy === 'Always')
        expect(inits[first]?.name).toBe('postern')
        expect(inits.slice(0, first).every(({ name }) => ['postern-init', 'postern-validate'].includes(name))).toBe(
          true,
        )
        for (const { securityContext: context } of [...inits.slice(first + 1), ...mains]) {
          expect(context?.privileged).not.toBe(true)
          expect(context?.allowPrivilegeEscalation).toBe(false)
          expect(context?.runAsUser).not.toBe(14_001)
          expect((context?.capabilities?.add ?? []).filter((name) => name !== 'CHOWN')).toEqual([])
        }
      }),
      { numRuns: 500 },
    )
  })

  it('and anything that is none gets an answer', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(mutate(value, namespace(), settings).kind).toBe('refused')
      }),
    )
  })
})
