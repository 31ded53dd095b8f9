// docs/agents-door.openapi.json and the agent's door say the same: paths, methods, members, reasons.
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { doorDocument, doorPaths, doorSchemas, type Schema } from '../../deploy/docs/agents-door.ts'
import { reasons } from '../../proxy/refusal.ts'
import { call, delegated, doorUrl, reference } from '../support/agents-door.ts'
import { agentId, agentsListener, openGate, type TestGate } from '../support/gate.ts'

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']
const paths: [string, object][] = Object.entries(doorPaths)
const operations = paths.flatMap(([path, item]) =>
  Object.keys(item).map((method) => ({ method: method.toUpperCase(), path })),
)

test('docs/agents-door.openapi.json is as `npm run docs` makes it', () => {
  const file = readFileSync(new URL('../../docs/agents-door.openapi.json', import.meta.url), 'utf8')
  expect(file).toBe(doorDocument())
})

test('it has every path that the door answers, and no other', () => {
  const source = readFileSync(new URL('../../proxy/door/door.ts', import.meta.url), 'utf8')
  const served = [...source.matchAll(/^ +case '([a-z/…]+)':$/gm)].map(([, path]) => `/v1/${path}`)
  expect(paths.map(([path]) => path.replace(/\{[a-z]+\}/, '…')).sort()).toEqual(served.sort())
})

test('it lists the reasons', () => {
  expect(doorSchemas.Problem.properties?.reason?.enum).toEqual(Object.keys(reasons))
})

describe('the answers', () => {
  let gate: TestGate
  beforeAll(async () => {
    gate = await openGate(`${agentsListener}delegation:
  grants: [{ agents: [${agentId}], scopes: ["crm.*"], constraints: [{ key: host, one_of: [api.example] }] }]
`)
  })
  afterAll(() => gate[Symbol.asyncDispose]())

  const door = (path: string, options: Parameters<typeof call>[2] = {}) =>
    call(gate.port(), `${doorUrl}${path.slice('/v1'.length)}`, options)

  it.each(operations)(
    '$method $path is answered, and tells which method is where another is tried',
    async ({ method, path }) => {
      const place = path.replace('{jti}', 'none').replace('{name}', 'no_rule')
      const allowed = operations.filter((each) => each.path === path).map((each) => each.method)
      expect([404, 405]).not.toContain((await door(place, { method })).status)
      const other = methods.find((each) => !allowed.includes(each)) ?? ''
      const refused = await door(place, { method: other })
      expect([refused.status, refused.field('allow')]).toEqual([405, allowed.join(', ')])
      expect(problemsOf(JSON.parse(refused.text), doorSchemas.Problem)).toEqual([])
    },
  )

  it('have the members that the document names', async () => {
    const root = await delegated(gate.port(), { scopes: ['crm.*'] })
    const child = await delegated(gate.port(), { to: `${agentId}/a`, scopes: ['crm.read'] }, [reference(root.handle)])
    expect(problemsOf(root, doorSchemas.Delegation)).toEqual([])
    expect(problemsOf(child, doorSchemas.Delegation)).toEqual([])
    const adopted = await door('/v1/chains', { method: 'POST', body: { chain: root.chain } })
    expect(problemsOf(JSON.parse(adopted.text), doorSchemas.Delegation)).toEqual([])
    const answers: [string, Schema, string[]][] = [
      ['/v1/whoami', doorSchemas.WhoAmI, []],
      ['/v1/whoami', doorSchemas.WhoAmI, [reference(child.handle)]],
      ['/v1/key', doorSchemas.Key, []],
      ['/v1/reasons', doorSchemas.Reasons, []],
      ['/v1/reasons/no_rule', doorSchemas.Reason, []],
      ['/v1/reasons/none', doorSchemas.Problem, []],
      ['/v1/elsewhere', doorSchemas.Problem, []],
    ]
    for (const [path, schema, fields] of answers)
      expect([path, problemsOf(JSON.parse((await door(path, { fields })).text), schema)]).toEqual([path, []])
    const refused = await door('/v1/delegations', { method: 'POST', body: { scopes: ['erp.read'] } })
    expect(problemsOf(JSON.parse(refused.text), doorSchemas.Problem)).toEqual([])
    expect(refused.field('content-type')).toBe('application/problem+json')
  })

  it('to what is asked in members that the document does not name are refusals', async () => {
    const names = Object.keys(doorSchemas.DelegationRequest.properties ?? {})
    expect(names).toEqual(['to', 'scopes', 'constraints', 'ttl', 'max_depth', 'narrow', 'subject_token', 'bind'])
    const wrong = await door('/v1/delegations', { method: 'POST', body: { scopes: ['crm.a'], scope: 'crm.a' } })
    expect(JSON.parse(wrong.text)).toMatchObject({ reason: 'bad_request' })
  })
})

/** Where a value is not as its schema says. */
function problemsOf(value: unknown, schema: Schema, at = ''): string[] {
  const { type, properties = {}, required = [], additionalProperties, items, enum: values } = schema
  if (type === 'array')
    return Array.isArray(value)
      ? value.flatMap((each, index) => (items === undefined ? [] : problemsOf(each, items, `${at}[${index}]`)))
      : [`${at} is no array`]
  if (type === 'integer') return Number.isInteger(value) ? [] : [`${at} is no integer`]
  if (type === 'string') {
    const isOne = typeof value === 'string' && (values === undefined || values.includes(value))
    return isOne ? [] : [`${at} is none of the texts that are meant`]
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [`${at} is no object`]
  const members = new Map<string, unknown>(Object.entries(value))
  return [
    ...required.filter((name) => !members.has(name)).map((name) => `${at}.${name} is missing`),
    ...[...members].flatMap(([name, member]) => {
      const known = Object.entries(properties).find(([each]) => each === name)?.[1]
      if (known !== undefined) return problemsOf(member, known, `${at}.${name}`)
      return additionalProperties === false ? [`${at}.${name} is not named`] : []
    }),
  ]
}
