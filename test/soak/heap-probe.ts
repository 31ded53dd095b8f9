// Loaded before the proxy: says what memory it holds after a collection, when it is asked.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect: (how: object) => void = runInNewContext('gc')

process.on('message', () => {
  // As when memory has run out: pages that are free are given back, which a usual collection keeps for what comes.
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  const { rss, heapUsed, external } = process.memoryUsage()
  process.send?.({ rss, heapUsed, external })
})
// The channel must not keep a proxy alive that has been told to stop.
process.channel?.unref()
