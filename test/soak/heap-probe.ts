// Loaded before the proxy: says what memory it holds after a collection, when it is asked.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

process.on('message', () => {
  collect()
  const { rss, heapUsed, external } = process.memoryUsage()
  process.send?.({ rss, heapUsed, external })
})
// The channel must not keep a proxy alive that has been told to stop.
process.channel?.unref()
