// Gives back the memory that starting took: most of what was parsed and compiled for it is not needed again, and V8 would
// keep it until it wants for room.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Milliseconds after the start; it holds everything up for some thirty of them. */
const soon = 250

export function giveBackMemorySoon(): void {
  setTimeout(giveBackMemory, soon).unref()
}

function giveBackMemory(): void {
  // The one way to ask for it in a process that was started without the flag.
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  setFlagsFromString('--no-expose-gc')
  // Waits meanwhile: were there none, V8 would forget the shape of Node's ticks, and each from then on take three times as long.
  process.nextTick(() => {})
  if (typeof collect === 'function') collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}
