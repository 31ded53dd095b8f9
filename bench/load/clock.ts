// The monotonic clock that all processes of the machine share, and a beat that is finer than Node's timers.
import { setTimeout as pause } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'

/** Milliseconds of the monotonic clock, with fractions. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

export { pause }

// Timers of Node fire up to a millisecond late, more than what is to be measured; a futex wakes within some 50 µs.
const beat = `
const { parentPort, workerData } = require('node:worker_threads')
const { interval, first, count } = workerData
const cell = new Int32Array(new SharedArrayBuffer(4))
for (let index = 0; index < count; index += 1) {
  const due = first + index * interval
  const wait = due - Number(process.hrtime.bigint()) / 1e6
  if (wait > 0) Atomics.wait(cell, 0, 0, wait)
  parentPort.postMessage(due)
}`

/**
 * Calls back for each moment that falls due, with the moment, not with the time of the call.
 * @param rate beats a second
 */
export async function beatSteadily(rate: number, seconds: number, onDue: (due: number) => void): Promise<void> {
  const workerData = { interval: 1000 / rate, first: now() + 20, count: Math.floor(rate * seconds) }
  const worker = new Worker(beat, { eval: true, workerData })
  worker.on('message', onDue)
  await new Promise((resolve, reject) => {
    worker.on('exit', resolve)
    worker.on('error', reject)
  })
}
