import { describe, expect, it } from 'vitest'
import { compileExpression, expressionProblem } from '../../policy/expression.ts'
import { View } from '../../policy/view.ts'
import { type Change, question } from './support.ts'

const run = (text: string, change: Change = {}) => compileExpression(text).test(new View(question(change)))
const describeRun = (text: string, change: Change, withValues: boolean) =>
  compileExpression(text).describe(new View(question(change)), withValues)

describe('an expression that is refused at load', () => {
  it.each([
    ['', 'end'],
    ['caller.id ==', 'at the end'],
    ['principal.kind = "user"', 'Unexpected character: = at character 16'],
    ['caller.nope == "x"', 'No such key: nope at character 8, `nope`'],
    ['request.body == "x"', 'No such key: body'],
    ['caller.id == 1', 'no such overload: string == int'],
    ['chain.depth', 'true or false; this one is of type int'],
    ['"true"', 'of type string'],
    ['dyn(true)', 'of type dyn'],
    ['user.id == "x"', 'Unknown variable: user'],
    ['request.path.matches("^/a+$")', 'matches() is not available'],
    ['caller.proofs.exists(p, p == "x" || request.path.matches(p))', 'matches() is not available'],
    ['true ? [request.path.matches("x")][0] : false', 'matches() is not available'],
    ['{"a": dyn(request.path).matches("x")}["a"]', 'matches() is not available'],
    ['!request.path.matches("x")', 'matches() is not available'],
    ['size(request.path.matches("x") ? "a" : "b") == 1', 'matches() is not available'],
    [`${'('.repeat(60)}true${')'.repeat(60)}`, 'Exceeded maxDepth (50)'],
    [`"${'x'.repeat(4_000)}" == ""`, 'at most 4000 characters'],
    ['process.exit(1)', 'Unknown variable: process'],
    ['constructor == "x"', 'Unknown variable: constructor'],
    ['caller.constructor == "x"', 'No such key: constructor'],
    ['caller.__proto__ == "x"', '__proto__'],
  ])('%s: %s', (text, problem) => {
    expect(expressionProblem(text)).toContain(problem)
    expect(() => compileExpression(text)).toThrow(problem)
  })

  it('does not take text within quotes for a call', () => {
    expect(expressionProblem('request.path == ".matches(x)"')).toBeUndefined()
  })
})

describe('an expression at run time', () => {
  it.each([
    ['request.query.nothing == "1"', 'a key that is not there'],
    ['request.headers["authorization"] == "Bearer x"', 'a credential'],
    ['request.headers["x-api-key"] == "x"', 'another credential'],
    ['request.query["__proto__"] == ""', 'what every object inherits'],
    ['chain.agents[0] == "x"', 'an element that is not there'],
    ['int(request.method) == 1', 'a conversion'],
    ['1 / chain.depth == 1', 'a division by zero'],
    ['now.getHours("Nowhere/AtAll") == 1', 'a time zone that does not exist'],
    ['bytes(request.path).json() == {}', 'what is no JSON'],
  ])('cannot be evaluated: %s (%s)', (text) => {
    const headers = ['Authorization', 'Bearer x', 'X-Api-Key', 'x']
    expect(run(text, { request: { headers } })).toBe('unreadable')
  })

  it.each([
    ['request.path == "/x"', { path: '/a/../x' }],
    ['request.query.a == "1"', { query: '?a=%' }],
    ['"a" in request.query_all', { query: '?a=%' }],
  ])('cannot be evaluated on a request that cannot be read: %s', (text, request) => {
    expect(run(text, { request })).toBe('unreadable')
  })

  it.each([
    ['"q" in request.query && request.query.q == "1"', 'met'],
    ['has(request.query.q) && !has(request.query.nothing)', 'met'],
    ['request.query.nothing == "1" || request.query.q == "1"', 'met'],
    ['request.query_all.q.exists(v, v == "2")', 'met'],
    ['request.path.glob("/v1/*/7")', 'met'],
    ['request.path.glob("/v2/*")', 'unmet'],
    ['now > timestamp("2025-12-31T00:00:00Z") && now - timestamp("2025-12-31T00:00:00Z") > duration("1h")', 'met'],
    ['request.path.split("/").size() == 4', 'met'],
  ])('%s is %s', (text, outcome) => {
    expect(run(text, { request: { query: '?q=1&q=2' } })).toBe(outcome)
  })

  it('tells what it saw, without values of query and headers unless they are asked for', () => {
    const text = 'request.query.q == "1" && request.headers.x == "y" && chain.depth == 0'
    const change = { request: { query: '?q=s3cret', headers: ['X', 'y'] } }
    expect(describeRun(text, change, false)).toBe('false, chain.depth = 0')
    expect(describeRun(text, change, true)).toBe(
      'false, chain.depth = 0, request.query = {"q":"s3cret"}, request.headers = {"x":"y"}',
    )
  })

  it('tells of an error where it is, not what the request held', () => {
    expect(describeRun('bool(request.query.q)', { request: { query: '?q=s3cret' } }, false)).toBe(
      'could not be evaluated (bool conversion error at character 1, `bool(request.query.q)`)',
    )
  })

  it('does not remember one request while it looks at another', () => {
    const expression = compileExpression('request.query.all(k, request.query[k] == "1")')
    const on = (query: string) => expression.test(new View(question({ request: { query } })))
    expect([on('?a=1'), on('?a=2'), on(''), on('?a=1&b=1')]).toEqual(['met', 'unmet', 'met', 'met'])
  })
})
