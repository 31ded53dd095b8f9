// Reviews a second, and how long each takes, over real TLS on kept connections. Run: node bench/injector.ts
import { Agent, request } from 'node:https'
import { makePair } from '../deploy/injector/certificate/pair.ts'
import { injectorMetrics } from '../deploy/injector/metrics.ts'
import { webhookServer } from '../deploy/injector/server.ts'
import { injectorSettingsSchema } from '../deploy/injector/settings.ts'
import { count, decimal } from './format.ts'
import { percentile } from './statistics.ts'

const host = 'postern-injector.postern.svc'
const connections = 8
const seconds = 5
/** A steady stream for the latencies: what is asked of the injector. */
const steady = 200

const namespace = { name: 'agents', labels: { 'postern.dev/inject': 'enabled' }, annotations: {} }
const securityContext = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } }
const container = (name: string) => ({
  name,
  image: 'registry.example/agent:1',
  env: Array.from({ length: 20 }, (_, index) => ({ name: `SETTING_${index}`, value: `value ${index}` })),
  volumeMounts: [{ name: 'data', mountPath: '/data' }],
  securityContext,
})
const review = JSON.stringify({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: {
    uid: '705ab4f5-6393-11e8-b7cc-42010a800002',
    resource: { group: '', version: 'v1', resource: 'pods' },
    operation: 'CREATE',
    namespace: namespace.name,
    object: {
      metadata: { generateName: 'agent-', labels: { app: 'agent' } },
      spec: {
        initContainers: [container('fetch')],
        containers: [container('agent'), container('helper')],
        volumes: [{ name: 'data', emptyDir: {} }],
      },
    },
  },
})

const pair = makePair([host], 3_600_000, Date.now)
const server = await webhookServer({
  address: { host: '127.0.0.1', port: 0 },
  settings: injectorSettingsSchema.parse({}),
  namespaces: { find: async () => namespace },
  metrics: injectorMetrics(),
  onProblem: console.error,
})
server.show(pair)
const agent = new Agent({ keepAlive: true, maxSockets: connections, ca: pair.ca, servername: host })

/** @returns milliseconds */
function ask(): Promise<number> {
  const began = performance.now()
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(review) }
    const call = request({ host: '127.0.0.1', port: server.port, path: '/mutate', method: 'POST', agent, headers })
    call.once('error', reject).once('response', (response) => {
      if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`))
      response.resume().once('end', () => resolve(performance.now() - began))
    })
    call.end(review)
  })
}

async function asFastAsItGoes(): Promise<number> {
  const end = performance.now() + seconds * 1_000
  let done = 0
  const worker = async () => {
    while (performance.now() < end) {
      await ask()
      done += 1
    }
  }
  await Promise.all(Array.from({ length: connections }, worker))
  return done / seconds
}

async function atSteadyRate(): Promise<number[]> {
  const asked: Promise<number>[] = []
  const began = performance.now()
  while (asked.length < steady * seconds) {
    const due = Math.floor(((performance.now() - began) / 1_000) * steady)
    while (asked.length < due) asked.push(ask())
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  return Promise.all(asked)
}

await asFastAsItGoes()
console.log(`${count(await asFastAsItGoes())} reviews a second, client and server on this one thread`)
const took = await atSteadyRate()
const [p50, p99] = [percentile(took, 0.5), percentile(took, 0.99)]
console.log(`at ${steady} a second: p50 ${decimal(p50, 2)} ms, p99 ${decimal(p99, 2)} ms`)
agent.destroy()
await server.close(0)
