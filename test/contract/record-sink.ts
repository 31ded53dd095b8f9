// What every sink for records keeps. Run by the test of each implementation.
import { afterEach, describe, expect, test } from 'vitest'
import { type AuditRecord, gapOf } from '../../proxy/record/line.ts'
import type { RecordSink } from '../../proxy/record/sink.ts'

export interface SinkUnderTest {
  readonly sink: RecordSink
  /** What has been written so far. */
  written(): Promise<string>
}

export function recordSinkContract(name: string, make: () => Promise<SinkUnderTest>): void {
  describe(`the contract of sinks, kept by ${name}`, () => {
    let made: SinkUnderTest | undefined

    afterEach(() => made?.sink.close())

    const record = (number: number): AuditRecord => gapOf(`id-${number}`, 0, number)
    const numbers = (text: string) =>
      text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line).lost)

    test('after a flush every record stands on a line of its own, in order', async () => {
      made = await make()
      for (let number = 0; number < 5_000; number += 1) made.sink.write(record(number))
      await made.sink.flush()
      expect(numbers(await made.written())).toEqual(Array.from({ length: 5_000 }, (_, number) => number))
    })

    test('a committed record is there when the promise resolves, with all before it', async () => {
      made = await make()
      made.sink.write(record(1))
      await made.sink.commit(record(2))
      expect(numbers(await made.written())).toEqual([1, 2])
    })

    test('commits of one moment all resolve', async () => {
      made = await make()
      const { sink } = made
      await Promise.all(Array.from({ length: 100 }, (_, number) => sink.commit(record(number))))
      expect(numbers(await made.written())).toHaveLength(100)
    })

    test('a flush with nothing to write resolves, and so does a second close', async () => {
      made = await make()
      await made.sink.flush()
      await made.sink.close()
      await made.sink.close()
      expect(await made.written()).toBe('')
    })

    test('closing writes what is left', async () => {
      made = await make()
      made.sink.write(record(1))
      await made.sink.close()
      expect(numbers(await made.written())).toEqual([1])
    })

    test('it is healthy while it writes, and looking for the place again changes nothing', async () => {
      made = await make()
      made.sink.write(record(1))
      made.sink.reopen()
      made.sink.write(record(2))
      await made.sink.flush()
      expect(made.sink.healthy).toBe(true)
      expect(numbers(await made.written())).toEqual([1, 2])
    })
  })
}
