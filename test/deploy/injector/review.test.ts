import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { refusalMessage } from '../../../deploy/injector/refusal.ts'
import { answerText, failureText, isOutside, judge, readReview } from '../../../deploy/injector/review.ts'
import { namespace, pod, settings } from './pods.ts'
import { review } from './reviews.ts'

const requestOf = (asked: Parameters<typeof review>[0]) => readReview(JSON.stringify(review(asked)))

describe('a review', () => {
  it('is one of admission.k8s.io/v1, or an error that says what is wrong', () => {
    expect(() => readReview('{')).toThrow(SyntaxError)
    expect(() => readReview('null')).toThrow('not an AdmissionReview')
    expect(() => readReview(JSON.stringify({ ...review({}), apiVersion: 'admission.k8s.io/v1beta1' }))).toThrow(
      'apiVersion',
    )
    const { uid: _, ...request } = review({}).request
    expect(() => readReview(JSON.stringify({ ...review({}), request }))).toThrow('request.uid')
  })

  it('is read or is an error, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.jsonValue().map((request) => JSON.stringify({ ...review({}), request })),
        ),
        (body) => {
          try {
            expect(typeof readReview(body).uid).toBe('string')
          } catch (error) {
            expect(error).toBeInstanceOf(Error)
          }
        },
      ),
    )
  })

  it.each([
    ['of another namespace', { object: pod(), namespace: 'kube-system' }, true],
    ['of our own namespace', { object: pod(), namespace: 'postern' }, true],
    ['without an object', { object: null }, true],
    ['of a pod', { object: pod() }, false],
  ])('%s: outside or not', (_, asked, expected) => {
    expect(isOutside(requestOf(asked), settings)).toBe(expected)
  })

  it.each([
    ['mutate', 'UPDATE', undefined],
    ['mutate', 'CREATE', 'binding'],
    ['validate', 'UPDATE', 'status'],
    ['validate', 'CONNECT', 'exec'],
  ] as const)('to %s of %s %s is none of ours', (endpoint, operation, subResource) => {
    const request = requestOf({ operation, object: pod(), ...(subResource === undefined ? {} : { subResource }) })
    expect(judge(endpoint, request, namespace(), settings)).toEqual({ kind: 'skipped', reason: 'other_object' })
  })
})

describe('an answer', () => {
  const response = (text: string) => JSON.parse(text).response

  it('has the uid of its review, and fails closed where something went wrong', () => {
    expect(response(answerText('7', { kind: 'intact' }))).toMatchObject({ uid: '7', allowed: true })
    expect(response(failureText('7', 'x'))).toEqual({
      uid: '7',
      allowed: false,
      status: { status: 'Failure', code: 500, reason: 'InternalError', message: 'x' },
    })
  })

  it('warns in pieces that the API server passes on', () => {
    const env = Array.from({ length: 40 }, (_, index) => ({ name: 'SSL_CERT_FILE', value: `/${index}` }))
    const containers = Array.from({ length: 30 }, (_, index) => ({
      ...pod({ container: { env } }).spec.containers[0],
      name: `c${index}${'x'.repeat(250)}`,
    }))
    const outcome = judge('mutate', requestOf({ object: pod({ spec: { containers } }) }), namespace(), settings)
    const { warnings } = response(answerText('7', outcome))
    expect(warnings).toHaveLength(16)
    expect(warnings.at(-1)).toBe('and 15 more')
    expect(warnings.every((text: string) => text.length <= 256)).toBe(true)
    expect(warnings.join('').length).toBeLessThan(4_096)
  })

  it('tells a dozen of refusals, and how many more there are', () => {
    const refusal = {
      reason: 'privileged',
      where: 'container x',
      found: 'it is privileged',
      mend: 'Set it to false.',
    } as const
    const message = refusalMessage(Array.from({ length: 20 }, () => refusal))
    expect(message.match(/\[privileged\]/g)).toHaveLength(12)
    expect(message).toMatch(/ and 8 more$/)
    expect(refusalMessage([{ ...refusal, found: 'x'.repeat(100_000) }]).length).toBeLessThan(9_000)
  })
})
