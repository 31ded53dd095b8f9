// Runs one target in a thread of its own, so that another can see it hang.
import { setFlagsFromString } from 'node:v8'
import { createContext, runInContext } from 'node:vm'
import { parentPort, workerData } from 'node:worker_threads'
import { readCorpus } from './corpus.ts'
import { Coverage } from './coverage.ts'
import { Engine } from './engine.ts'
import { type Done, type Order, Watched } from './protocol.ts'
import { Random } from './random.ts'
import { Seen } from './seen.ts'
import { bytesOf } from './target.ts'
import { loadTarget } from './targets.ts'

// Most errors here are refusals, of which nobody reads the stack.
Error.stackTraceLimit = 6

const order: Order = workerData
const watched = new Watched(order.watched)
// Code that is counted is loaded afterwards. Code that is counted is also never compiled to its fastest form.
const coverage = order.corpus === undefined ? new Coverage() : undefined
coverage?.start()
const target = await loadTarget(order.target)
const engine = new Engine(target, {
  coverage,
  random: new Random(order.seed),
  seen: new Seen(order.seen),
  onRun: (input) => {
    if (input === undefined) watched.end()
    else watched.begin(input)
  },
})
const started = performance.now()
await engine.begin(order.corpus ?? [...target.seeds.map(bytesOf), ...readCorpus(order.target)])
// What the code and its caches take is there after a quarter of the run.
await engine.breed({ time: order.time / 4, inputs: order.inputs / 4 })
const before = heap()
await engine.breed({ time: order.time - (performance.now() - started), inputs: order.inputs })
const took = performance.now() - started
const growth = heap() - before
const { figures, failures } = engine
const kept = order.distil ? await engine.distilled() : engine.corpus
// Each without the larger buffer that it may be a part of.
const corpus = kept.map((input) => Uint8Array.from(input))
const done: Done = { figures, failures, took, growth, corpus }
parentPort?.postMessage(done)

/** Bytes, after a collection. */
function heap(): number {
  setFlagsFromString('--expose-gc')
  runInContext('gc', createContext())()
  return process.memoryUsage().heapUsed
}
