import { describe, expect, it } from 'vitest'
import { mutate } from '../../../deploy/injector/mutate.ts'
import { validate, validateEphemeral, validateUpdate } from '../../../deploy/injector/validate.ts'
import { copy, namespace, pod, settings, sound } from './pods.ts'

function made() {
  const initContainers = [{ name: 'first', image: 'x', securityContext: sound }]
  const outcome = mutate(pod({ spec: { initContainers } }), namespace(), settings)
  if (outcome.kind !== 'injected') throw new Error(JSON.stringify(outcome))
  return copy(outcome.pod)
}

const refusal = (reason: string, more = {}) => ({ kind: 'refused', refusals: [{ reason, ...more }] })

describe('a pod that is created', () => {
  it('is refused without the proxy, and told why', () => {
    expect(validate(pod(), namespace(), settings)).toMatchObject(
      refusal('sidecar_missing', { where: 'container postern-init' }),
    )
  })

  it('is refused without the rules', () => {
    const given = made()
    given.spec.initContainers?.shift()
    expect(validate(given, namespace(), settings)).toMatchObject(refusal('sidecar_missing'))
  })

  it('is refused where something starts before the rules or the proxy', () => {
    const given = made()
    const inits = given.spec.initContainers ?? []
    inits.unshift(...inits.splice(2, 1))
    expect(validate(given, namespace(), settings)).toMatchObject(
      refusal('sidecar_not_first', { found: 'it is init container 2, not 1' }),
    )
  })

  it('is refused where the cluster is too old for native sidecars and dropped that', () => {
    const given = made()
    for (const container of given.spec.initContainers ?? []) delete container.restartPolicy
    expect(validate(given, namespace(), settings)).toMatchObject(
      refusal('sidecar_altered', { found: 'it differs in restartPolicy' }),
    )
  })

  it('is refused where another injector took a variable back, or a mount', () => {
    const given = made()
    given.spec.containers[0]?.env?.shift()
    expect(validate(given, namespace(), settings)).toMatchObject(
      refusal('injection_undone', { found: expect.stringContaining('spec.containers.0') }),
    )
  })

  it('is refused where another injector brought in what could get round the proxy', () => {
    const given = made()
    given.spec.containers.push({ name: 'late', image: 'x' })
    expect(validate(given, namespace(), settings)).toMatchObject({
      refusals: [{ reason: 'capability' }, { reason: 'privilege_escalation' }],
    })
  })

  it('is refused where a volume of ours became another', () => {
    const given = made()
    const trust = given.spec.volumes?.find(({ name }) => name === 'postern-trust')
    if (trust !== undefined) Object.assign(trust, { emptyDir: {} })
    expect(validate(given, namespace(), settings)).toMatchObject(refusal('injection_undone'))
  })

  it('is let in whole, and none of our business where its namespace is not labelled', () => {
    expect(validate(made(), namespace(), settings)).toEqual({ kind: 'intact' })
    expect(validate(pod(), { name: 'x', labels: {}, annotations: {} }, settings)).toMatchObject({ kind: 'skipped' })
  })
})

describe('a pod that is changed', () => {
  it.each([
    [
      'the image of the proxy',
      (given: ReturnType<typeof made>) => {
        const sidecar = given.spec.initContainers?.[1]
        if (sidecar !== undefined) sidecar.image = 'evil'
      },
    ],
    [
      'what it says of itself',
      (given: ReturnType<typeof made>) => {
        delete given.metadata.annotations?.['postern.dev/status']
      },
    ],
  ])('is refused where that is %s', (_, change) => {
    const given = made()
    change(given)
    expect(validateUpdate(given, made())).toMatchObject(refusal('sidecar_altered'))
  })

  it('may have another image of its own, and other labels', () => {
    const given = made()
    given.metadata.labels = { app: 'x' }
    if (given.spec.containers[0] !== undefined) given.spec.containers[0].image = 'other'
    expect(validateUpdate(given, made())).toEqual({ kind: 'intact' })
  })

  it('is none of our business without the proxy', () => {
    expect(validateUpdate(pod(), pod())).toEqual({ kind: 'skipped', reason: 'not_injected' })
  })
})

describe('a container that is added', () => {
  it('is refused where it is not as it was hardened', () => {
    const given = {
      ...made(),
      spec: { ...made().spec, ephemeralContainers: [{ name: 'debugger', image: 'x', securityContext: sound }] },
    }
    expect(validateEphemeral(given, made(), namespace(), settings)).toMatchObject(refusal('injection_undone'))
    expect(validateEphemeral(made(), made(), namespace(), settings)).toEqual({ kind: 'intact' })
  })
})
