import { describe, expect, it } from 'vitest'
import { type Catalogue, createPlacements } from '../../../proxy/inject/catalogue.ts'
import { inject } from '../../../proxy/inject/inject.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { canary, exchange, fingerprint, type Given, placements, standInKey, values } from './exchanges.ts'

const inHeader = placements({ placeholder: { env: 'CRM_KEY' } })
const inQuery = placements({ placeholder: { in: { query: 'key' }, env: 'CRM_KEY' } })
const held = (catalogue: Catalogue) => catalogue.standIns[0]?.value ?? ''
const standIn = held(inHeader)

function refused(given: Given, catalogue = inHeader): Refusal {
  try {
    inject(exchange(given), catalogue)
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  throw new Error('nothing was refused')
}

const base64 = (text: string) => Buffer.from(text).toString('base64')

describe('a stand-in elsewhere', () => {
  it.each<[string, Given, string]>([
    ['in another header field', { headers: ['X-Other', standIn] }, 'header:x-other'],
    ['in the name of a header field', { headers: [standIn, '1'] }, `header:${standIn.toLowerCase()}`],
    ['in a cookie', { headers: ['Cookie', `a=${standIn}`] }, 'header:cookie'],
    ['in the path', { target: { path: `/v1/${standIn}` } }, 'path'],
    ['in the path, escaped', { target: { path: `/v1/${standIn.replace('S', '%53')}` } }, 'path'],
    ['in the query', { target: { query: `?a=1&token=${standIn}` } }, 'query:token'],
    ['in the query, escaped', { target: { query: `?token=${standIn.replace('p', '%70')}` } }, 'query:token'],
    ['in Basic of another field', { headers: ['X-Auth', `Basic ${base64(`u:${standIn}`)}`] }, 'header:x-auth'],
    ['in base64 after one byte', { headers: ['X-Auth', base64(`u${standIn}`)] }, 'header:x-auth'],
    ['in base64 after two bytes', { headers: ['X-Auth', base64(`uu${standIn}`)] }, 'header:x-auth'],
  ])('%s is refused and found', (_, given, where) => {
    const refusal = refused(given)
    expect(refusal.reason).toBe('stand_in_misused')
    expect(refusal.findings).toMatchObject([{ kind: 'stand_in_misused', where }])
    expect(JSON.stringify([refusal.message, refusal.problem('id')])).not.toContain(standIn)
  })

  it.each<[string, Given]>([
    ['twice in its field', { headers: ['Authorization', `Bearer ${standIn} ${standIn}`] }],
    ['in two fields of its name', { headers: ['Authorization', standIn, 'authorization', standIn] }],
    ['in its field and in another', { headers: ['Authorization', `Bearer ${standIn}`, 'X-Copy', standIn] }],
    ['among other text', { headers: ['Authorization', `Bearer x${standIn}`] }],
    ['with text behind it', { headers: ['Authorization', `Bearer ${standIn}, Basic abc`] }],
    ['as a parameter', { headers: ['Authorization', `Digest username="${standIn}"`] }],
    ['in the middle of a Basic password', { headers: ['Authorization', `Basic ${base64(`u:x${standIn}`)}`] }],
  ])('%s is refused', (_, given) => {
    expect(refused(given).reason).toBe('stand_in_misused')
  })

  it('at another destination is refused', () => {
    const both = createPlacements({
      rules: [
        { name: 'rule', allow: { to: 'crm' }, use: 'crm-token', inject: { placeholder: { env: 'CRM' } } },
        { name: 'other', allow: { to: 'mail' }, use: 'crm-token', inject: { placeholder: { env: 'MAIL' } } },
      ],
      credentials: { 'crm-token': { for: ['crm', 'mail'] } },
      standInKey,
      fingerprint,
    })
    const [crm, mail] = both.standIns
    expect(crm?.value).not.toBe(mail?.value)
    expect(refused({ headers: ['Authorization', `Bearer ${mail?.value}`] }, both).reason).toBe('stand_in_misused')
    expect(
      refused({ headers: ['Authorization', `Bearer ${crm?.value}`], destination: { name: 'mail' } }, both).reason,
    ).toBe('stand_in_misused')
  })

  it('of another run is refused', () => {
    const other = createPlacements({
      rules: [{ name: 'rule', allow: { to: 'crm' }, use: 'crm-token', inject: { placeholder: { env: 'CRM_KEY' } } }],
      credentials: { 'crm-token': { for: ['crm'] } },
      standInKey: Buffer.alloc(32, 1),
      fingerprint,
    })
    expect(refused({ headers: ['Authorization', `Bearer ${held(other)}`] }).reason).toBe('stand_in_misused')
  })

  it('made up from the marker is refused', () => {
    expect(refused({ headers: ['Authorization', 'Bearer sk-pstrnStandInAAAAAAAAAAAAAAAAAAAAAAAAAAAA'] }).reason).toBe(
      'stand_in_misused',
    )
  })
})

describe('a stand-in in its place', () => {
  it.each([
    [standIn, canary],
    [`Bearer ${standIn}`, `Bearer ${canary}`],
    [`token  ${standIn}`, `token  ${canary}`],
    [`Basic ${base64(`x-access-token:${standIn}`)}`, `Basic ${base64(`x-access-token:${canary}`)}`],
    [`basic ${base64(`${standIn}:`)}`, `Basic ${base64(`${canary}:`)}`],
  ])('becomes the credential: %s', (sent, expected) => {
    const { outgoing, findings } = inject(exchange({ headers: ['authorization', sent, 'A', '1'] }), inHeader)
    expect(values(outgoing.headers, 'authorization')).toEqual([expected])
    expect(values(outgoing.headers, 'a')).toEqual(['1'])
    expect(findings).toEqual([])
    expect([outgoing.path, ...outgoing.headers].join()).not.toContain('pstrnStandIn')
  })

  it('in the query becomes the credential, and the rest stays', () => {
    const { outgoing } = inject(exchange({ target: { query: `?a=1&key=${held(inQuery)}&b` } }), inQuery)
    expect(outgoing.path).toBe(`/v1/contacts?a=1&key=${encodeURIComponent(canary)}&b`)
  })

  it.each([`?key=${held(inQuery)}x`, `?key=x${held(inQuery)}`, `?key=${standIn}`, `?key=&kEy=${held(inQuery)}`])(
    'in the query is the whole value (%j)',
    (query) => {
      expect(refused({ target: { query } }, inQuery).reason).toBe('stand_in_misused')
    },
  )

  it('leaves no other credential of the agent, in the same field either', () => {
    const headers = ['Authorization', 'Bearer own', 'Authorization', `Bearer ${standIn}`, 'X-Api-Key', 'own']
    const { outgoing, findings } = inject(exchange({ headers }), inHeader)
    expect(values(outgoing.headers, 'authorization')).toEqual([`Bearer ${canary}`])
    expect(findings.map(({ where }) => where)).toEqual(['header:authorization', 'header:x-api-key'])
  })

  it('is not asked for: a request without one leaves without a credential', () => {
    const { outgoing, emitted, findings } = inject(exchange({ headers: ['Authorization', 'Bearer own'] }), inHeader)
    expect(outgoing.headers).toEqual(['host', 'api.crm.example'])
    expect(emitted).toEqual([])
    expect(findings).toMatchObject([{ kind: 'agent_credential_removed' }])
  })
})
