// Microseconds a decision, with 10 and with 10,000 rules. Run: node bench/policy.ts
import { parseSpiffeId } from '../certs/spiffe-id.ts'
import { compile } from '../policy/compile.ts'
import type { PolicyEngine, Question } from '../policy/engine.ts'
import { createEngine } from '../policy/rule-engine.ts'
import type { Rule } from '../policy/settings.ts'

const agentsPerDestination = 20

function engineWith(size: number): PolicyEngine {
  const places = Math.max(1, Math.ceil(size / agentsPerDestination))
  const destinations = Array.from({ length: places }, (_, place) => ({
    name: `place-${place}`,
    hosts: [`api-${place}.example`, `*.zone-${place}.example`],
    ports: [443],
    protocol: 'https' as const,
  }))
  const rules = Array.from({ length: size }, (_, index) => ruleFor(index, places))
  return createEngine(compile({ rules, destinations }))
}

function ruleFor(index: number, places: number): Rule {
  const agent = `spiffe://acme.example/ns/agents/sa/agent-${Math.floor(index / places)}`
  const to = `place-${index % places}`
  if (index === 0) return { name: 'nobody-traces', deny: { methods: ['TRACE'] } }
  if (index % 10 === 7) return { deny: { agents: [`${agent}/*`], to, paths: ['/admin/**'] } }
  return {
    allow: { agents: [agent], to, methods: ['GET', 'POST'], paths: ['/v1/contacts/**', '/v1/*/items/report-*.csv'] },
    when: 'chain.depth <= 2 && principal.kind == "user"',
    use: 'token',
    ...(index % 3 === 0 ? { limit: '999999/second per agent' } : {}),
  }
}

function question(host: string, agent: string, path: string): Question {
  return {
    now: Date.now(),
    caller: { id: parseSpiffeId(`spiffe://acme.example/ns/agents/sa/${agent}`), proofs: ['x509-svid'] },
    principal: { kind: 'user', id: 'alice@acme.example' },
    chain: { depth: 1, agents: [], scopes: [] },
    request: {
      method: 'GET',
      scheme: 'https',
      host,
      port: 443,
      path,
      query: '?page=2&size=50',
      headers: ['Host', host, 'Accept', 'application/json', 'User-Agent', 'bench'],
    },
  }
}

const questions = {
  'allowed, prefix': question('api-0.example', 'agent-2', '/v1/contacts/4711'),
  'allowed, globs': question('eu.zone-0.example', 'agent-2', '/v1/books/items/report-%7E2026.csv'),
  'no rule, path': question('api-0.example', 'agent-2', '/v2/contacts/4711'),
  'no rule, agent': question('api-0.example', 'stranger', '/v1/contacts/4711'),
  'no rule, host': question('elsewhere.example', 'agent-2', '/v1/contacts/4711'),
}

/** The best of several rounds: what else the machine does only ever adds. */
function measure(engine: PolicyEngine, asked: Question): number {
  const decisions = 20_000
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < 12; round++) {
    const start = performance.now()
    for (let i = 0; i < decisions; i++) engine.decide(asked)
    best = Math.min(best, ((performance.now() - start) * 1_000) / decisions)
  }
  return best
}

const sizes = [10, 10_000]
console.log(`µs a decision${' '.repeat(7)}${sizes.map((size) => `${size} rules`.padStart(14)).join('')}`)
const engines = sizes.map(engineWith)
for (const [name, asked] of Object.entries(questions)) {
  const figures = engines.map((engine) => measure(engine, asked).toFixed(2).padStart(14))
  console.log(`${name.padEnd(20)}${figures.join('')}`)
}
