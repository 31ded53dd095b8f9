// The section `budgets`: what it takes, what it refuses and why, and how it is told again.
import { describe, expect, it } from 'vitest'
import { summarize, summaryLines } from '../../../proxy/config/summary.ts'
import { warningsOf } from '../../../proxy/config/warnings.ts'
import { load, problems } from '../config/folder.ts'

const written = (budget: string, more = '') => `version: 1
trustDomain: acme.example
${more}destinations:
  api: { hosts: [api.example] }
budgets:
  b: ${budget}
`

describe('a budget that is none', () => {
  it.each([
    ['bounds nothing', '{ per: agent, every: 1h }', /at least one of requests, responseBytes, paths and cost/],
    ['has no window', '{ per: agent, requests: 1 }', /every/],
    ['has a window of no time', '{ per: agent, every: 0s, requests: 1 }', /from 1s to 366d/],
    ['has a window too long', '{ per: agent, every: 367d, requests: 1 }', /from 1s to 366d/],
    ['is shared by nobody', '{ every: 1h, requests: 1 }', /per/],
    ['is divided otherwise', '{ per: pod, every: 1h, requests: 1 }', /agent/],
    ['allows nothing', '{ per: agent, every: 1h, requests: 0 }', /requests/],
    [
      'concerns nothing',
      '{ per: agent, every: 1h, requests: 1, for: { to: [] } }',
      /an empty list would concern nothing/,
    ],
    [
      'concerns a place that is not there',
      '{ per: agent, every: 1h, requests: 1, for: { to: apo } }',
      /there is no destination of this name.*api/,
    ],
    [
      'looks at a credential',
      '{ per: agent, every: 1h, requests: 1, for: { headers: { cookie: x } } }',
      /carries a credential/,
    ],
    ['sets nothing aside', '{ per: agent, every: 1h, cost: { header: X-Cost, units: 5 } }', /reserve/],
    [
      'sets more aside than there is',
      '{ per: agent, every: 1h, cost: { header: X-Cost, units: 5, reserve: 6 } }',
      /no request could be made/,
    ],
    [
      'has two sources of cost',
      '{ per: agent, every: 1h, cost: { header: X-Cost, json: a.b, units: 5, reserve: 1 } }',
      /either header or json/,
    ],
    ['has none', '{ per: agent, every: 1h, cost: { units: 5, reserve: 1 } }', /either header or json/],
    ['has a path that is none', '{ per: agent, every: 1h, cost: { json: a..b, units: 5, reserve: 1 } }', /json/],
    [
      'has a field that is none',
      '{ per: agent, every: 1h, cost: { header: "X Cost", units: 5, reserve: 1 } }',
      /the name of a header field/,
    ],
    ['remembers too many paths', '{ per: agent, every: 1h, paths: 10001 }', /paths/],
  ])('%s', async (_, budget, problem) => {
    expect((await problems(written(budget))).join('\n')).toMatch(problem)
  })
})

it('a budget is told in words', async () => {
  const config = await load(
    written(`{ per: user, every: 7d, requests: 10, paths: 3, for: { to: api, methods: [GET] }, cost: { json: [usage.a, usage.b], units: 5, reserve: 1 } }
  c: { per: txn, every: 90s, responseBytes: 100 }`),
  )
  expect(config.budgets.b).toMatchObject({
    every: 604_800_000,
    cost: {
      from: {
        kind: 'json',
        paths: [
          ['usage', 'a'],
          ['usage', 'b'],
        ],
      },
    },
  })
  expect(summaryLines(summarize(config))).toEqual(
    expect.arrayContaining([
      'Budgets',
      '  b: each user may use 10 requests, 3 paths, 5 units of cost in 7d at api, for some requests',
      '  c: each transaction may use 100 bytes of answers in 90s',
    ]),
  )
})

it('budgets that a restart fills again are worth a second look', async () => {
  const about = async (more: string) =>
    warningsOf(await load(written('{ per: agent, every: 1h, requests: 1 }', more)), {}).filter(
      ({ path }) => path[0] === 'budgets',
    )
  expect(await about('')).toMatchObject([{ message: expect.stringContaining('a restart fills them again') }])
  expect(await about('admin: { socket: /run/postern/admin.sock }\n')).toEqual([])
  expect(await about('stop: { file: /var/lib/postern/stops.jsonl }\n')).toEqual([])
})
