// A process of its own for the sink that writes to standard output: obeys lines on standard input, answers on standard error.
import { createInterface } from 'node:readline'
import { gapOf } from '../../../proxy/record/line.ts'
import { writerLimits } from '../../../proxy/record/line-writer.ts'
import { stdoutSink } from '../../../proxy/record/stdout-sink.ts'

const say = (text: string) => process.stderr.write(`${text}\n`)
const events = {
  failed: (error: Error) => say(`failed: ${error.message}`),
  recovered: (lost: number) => say(`recovered: ${lost}`),
  dropped: () => {},
}
const sink = await stdoutSink(
  { now: () => 0, newId: () => 'gap', events },
  { ...writerLimits, linger: 5, probe: 20, stall: 300 },
)

let next = 0
for await (const line of createInterface({ input: process.stdin })) {
  const [word, count] = line.split(' ')
  if (word === 'write') for (let more = 0; more < Number(count); more += 1) sink.write(gapOf(`id-${next}`, 0, next++))
  if (word === 'flush')
    await sink.flush().then(
      () => say('flushed'),
      (error) => say(`not flushed: ${error.message}`),
    )
}
await sink.close()
