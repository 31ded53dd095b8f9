// Names whose addresses change, mix or lead elsewhere, by a real resolver that lies: what the proxy connects to is what it checked.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { addresses } from './addresses.ts'
import { whyNot } from './namespaces.ts'
import { SimulatedPod } from './simulated.ts'

const reason = whyNot()
if (reason !== undefined) console.log(`The simulated pod is left out: ${reason}.`)

describe.skipIf(reason !== undefined)('a name of an allowed host', () => {
  let pod: SimulatedPod

  beforeAll(async () => {
    pod = await SimulatedPod.make()
    await pod.startProxy()
    const { code, errors } = await pod.capture('install', '--uid', '1337', '--port', '15001', '--dns-port', '15053')
    expect(code, errors).toBe(0)
  })
  afterAll(async () => {
    await pod?.[Symbol.asyncDispose]()
  })
  beforeEach(() => void pod.reached())

  /** Past its own DNS, so that the proxy alone resolves. The body, or the reason of the refusal. */
  const ask = async (name: string, path = '/once') => {
    const host = `${name}.wild.example`
    const pinned = ['--resolve', `${host}:80:${addresses.evil}`]
    const { out } = await pod.agent(['curl', '-sS', '--max-time', '20', ...pinned, `http://${host}${path}`])
    const { hello, reason } = JSON.parse(out)
    return hello ?? reason
  }
  /** Where requests arrived. */
  const arrived = () => pod.reached().flatMap(({ by, reached }) => (by === 'http' ? [reached] : []))

  it('that is public at first and the metadata service then is reached once', async () => {
    expect([await ask('flips'), await ask('flips'), await ask('flips')]).toEqual([
      'from outside',
      'blocked_address',
      'blocked_address',
    ])
    expect(arrived()).toEqual([addresses.api])
  })

  it('that was refused is looked up anew', async () => {
    expect([await ask('returns'), await ask('returns')]).toEqual(['blocked_address', 'from outside'])
    expect(arrived()).toEqual([addresses.api])
  })

  it.each(['mixed', 'own', 'pod'])('with one bad address among good ones is not reached at all: %s', async (name) => {
    expect(await ask(name)).toBe('blocked_address')
    expect(arrived()).toEqual([])
  })

  it.each(['mapped', 'translated'])(
    'whose IPv6 address is the metadata service in disguise is refused: %s',
    async (name) => {
      expect(await ask(name)).toBe('blocked_address')
      expect(arrived()).toEqual([])
    },
  )

  it('that is another name is judged by where that leads', async () => {
    expect([await ask('alias'), await ask('false-friend')]).toEqual(['from outside', 'blocked_address'])
    expect(arrived()).toEqual([addresses.api])
  })

  it('that is not there, asked a hundred times at once, holds up nobody else', async () => {
    const storm = Promise.all(Array.from({ length: 100 }, (_, index) => ask(`nobody-${index}`)))
    const meanwhile = await ask('www')
    expect(meanwhile).toBe('from outside')
    expect(new Set(await storm)).toEqual(new Set(['upstream_unresolved']))
    expect(arrived()).toEqual([addresses.api])
  })
})
