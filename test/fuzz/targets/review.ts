// Admission reviews and the pods in them: what is injected is whole, and the same again when it is looked at again.
import { answerText, isOutside, judge, type ReviewRequest, readReview } from '../../../deploy/injector/review.ts'
import { namespace, pod, settings, sound } from '../../deploy/injector/pods.ts'
import { review } from '../../deploy/injector/reviews.ts'
import { applyPatch } from '../../support/apply-patch.ts'
import { jsonSigns, mutatedJson } from '../json.ts'
import { must, mustEqual, type Target, unlessRefused, utf8 } from '../target.ts'

const full = pod({
  metadata: {
    labels: { app: 'a' },
    annotations: { 'postern.dev/policy': 'configmap/p', 'postern.dev/cpu-limit': '200m' },
  },
  spec: {
    volumes: [
      { name: 'work', emptyDir: {} },
      { name: 'host', hostPath: { path: '/srv' } },
    ],
    initContainers: [{ name: 'init', image: 'registry.example/init:1', securityContext: sound }],
    securityContext: { runAsUser: 1_000, fsGroup: 1_000, supplementalGroups: [7] },
  },
  container: {
    env: [
      { name: 'HTTPS_PROXY', value: 'http://else:1' },
      { name: 'X', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
    ],
    ports: [{ containerPort: 8_080 }],
    volumeMounts: [{ name: 'work', mountPath: '/work' }],
  },
})
const places = [namespace(), namespace({ mode: 'explicit', harden: 'rewrite', 'opt-out': 'allowed' })]
const material = {
  names: [
    ...[
      'metadata',
      'spec',
      'annotations',
      'labels',
      'containers',
      'initContainers',
      'ephemeralContainers',
      'volumes',
      'name',
      'image',
    ],
    ...[
      'env',
      'envFrom',
      'value',
      'valueFrom',
      'volumeMounts',
      'mountPath',
      'securityContext',
      'privileged',
      'capabilities',
      'add',
      'drop',
    ],
    ...[
      'runAsUser',
      'runAsGroup',
      'fsGroup',
      'hostNetwork',
      'hostPID',
      'hostPath',
      'path',
      'procMount',
      'restartPolicy',
      'ports',
    ],
    ...[
      'postern.dev/mode',
      'postern.dev/inject',
      'postern.dev/status',
      'postern.dev/policy',
      'request',
      'object',
      'oldObject',
      'operation',
    ],
    ...[
      'resource',
      'subResource',
      'namespace',
      'uid',
      'targetContainerName',
      'allowPrivilegeEscalation',
      'projected',
      'secret',
    ],
  ],
  values: [
    ...[
      'postern',
      'postern-capture',
      'postern-trust',
      'explicit',
      'transparent',
      'enabled',
      'disabled',
      'CREATE',
      'UPDATE',
      'ephemeralcontainers',
    ],
    ...[
      '/',
      '/run',
      '/var/run/docker.sock',
      'NET_ADMIN',
      'ALL',
      'cap_sys_admin',
      'HTTPS_PROXY',
      'SSL_CERT_FILE',
      'Always',
      'pods',
      'kube-system',
    ],
    ...[
      64_003,
      1_000,
      true,
      sound,
      { name: 'agent' },
      pod(),
      { name: 'v', emptyDir: {} },
      { name: 'work', mountPath: '/x' },
      null,
    ],
  ],
}

export const target: Target = {
  name: 'review',
  longest: 6_000,
  seeds: [
    pod(),
    full,
    review({ object: full }),
    review({
      operation: 'UPDATE',
      subResource: 'ephemeralcontainers',
      object: pod({ spec: { ephemeralContainers: [{ name: 'debug', securityContext: sound }] } }),
      oldObject: pod(),
    }),
    review({ operation: 'UPDATE', object: full, oldObject: pod() }),
  ].map((value) => JSON.stringify(value)),
  dictionary: [...jsonSigns, 'null', '"spec":', '"containers":', '"name":', '~0', '~1', '/', '"__proto__":'],
  mutate: (input, random) => mutatedJson(input, random, material),
  run(input) {
    const text = utf8(input)
    const value = unlessRefused(
      (): unknown => JSON.parse(text),
      (error) => error instanceof SyntaxError,
    )
    if (value === undefined) return
    const isReview = typeof value === 'object' && value !== null && Object.hasOwn(value, 'request')
    const request = unlessRefused(
      () => readReview(isReview ? text : JSON.stringify(review({ object: value }))),
      isNamed,
    )
    if (request === undefined) return
    isOutside(request, settings)
    const place = places[input.length % places.length] ?? namespace()
    checkAnswer(request, judge('validate', request, place, settings))
    const outcome = judge('mutate', request, place, settings)
    checkAnswer(request, outcome)
    if (outcome.kind !== 'injected') return
    const next = { ...request, object: applyPatch(request.object, outcome.patch) }
    mustEqual(sorted(next.object), sorted(outcome.pod), 'the patch leads elsewhere')
    const again = judge('mutate', next, place, settings)
    must(again.kind === 'injected' && again.patch.length === 0, 'it is not the same again')
    mustEqual(judge('validate', next, place, settings).kind, 'intact', 'what was injected is not whole')
  },
}

function checkAnswer({ uid }: ReviewRequest, outcome: ReturnType<typeof judge>): void {
  const { response } = JSON.parse(answerText(uid, outcome))
  mustEqual(response.uid, uid, 'the answer is to another')
  mustEqual(response.allowed, outcome.kind !== 'refused', 'the answer says something else')
}

const isNamed = (error: unknown) =>
  error instanceof SyntaxError || (error instanceof Error && error.message.startsWith('not an AdmissionReview'))

/** Members in order; those that are undefined are not there. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.entries(value)
    .filter(([, each]) => each !== undefined)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, each]) => [name, sorted(each)])
}
