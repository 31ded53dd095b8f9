import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Lease } from '../../../deploy/injector/lease.ts'
import { type Cluster, cluster, leasePath } from './cluster.ts'

let where: Cluster
let now: number
const signal = AbortSignal.timeout(15_000)

beforeEach(async () => {
  where = await cluster()
  now = Date.UTC(2030, 0, 1)
})
afterEach(() => where[Symbol.asyncDispose]())

const lease = (identity: string) =>
  new Lease({
    client: where.client(),
    namespace: 'postern',
    name: 'postern-injector',
    identity,
    seconds: 30,
    now: () => now,
  })
const spec = () => where.api.objects.get(leasePath)?.spec

describe('a lease', () => {
  it('is taken by the first, renewed by it, and by nobody else', async () => {
    const [one, other] = [lease('one'), lease('other')]
    expect(await one.hold(signal)).toBe(true)
    expect(spec()).toMatchObject({
      holderIdentity: 'one',
      acquireTime: '2030-01-01T00:00:00.000000Z',
      leaseTransitions: 0,
    })
    now += 20_000
    expect(await other.hold(signal)).toBe(false)
    expect(await one.hold(signal)).toBe(true)
    expect(spec()).toMatchObject({
      acquireTime: '2030-01-01T00:00:00.000000Z',
      renewTime: '2030-01-01T00:00:20.000000Z',
    })
    now += 20_000
    expect(await other.hold(signal)).toBe(false)
  })

  it('is taken over when it was not seen to be renewed for its time, whatever its own clock says', async () => {
    const [one, other] = [lease('one'), lease('other')]
    await one.hold(signal)
    now += 3_600_000
    // Seen for the first time: its holder may have a clock that is an hour behind.
    expect(await other.hold(signal)).toBe(false)
    now += 31_000
    expect(await other.hold(signal)).toBe(true)
    expect(spec()).toMatchObject({ holderIdentity: 'other', leaseTransitions: 1 })
    expect(await one.hold(signal)).toBe(false)
  })

  it('is had by one of many who try at once', async () => {
    const held = await Promise.all(Array.from({ length: 8 }, (_, index) => lease(`replica-${index}`).hold(signal)))
    expect(held.filter(Boolean)).toHaveLength(1)
  })

  it('is free at once when it is released, and is not released by others', async () => {
    const [one, other] = [lease('one'), lease('other')]
    await one.hold(signal)
    await other.release(signal)
    expect(await other.hold(signal)).toBe(false)
    await one.release(signal)
    expect(await other.hold(signal)).toBe(true)
  })

  it('is an error where the API server says anything else', async () => {
    where.api.failing = 403
    await expect(lease('one').hold(signal)).rejects.toMatchObject({ name: 'KubeError', status: 403 })
  })
})
