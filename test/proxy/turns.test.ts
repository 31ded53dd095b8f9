import { expect, it } from 'vitest'
import { mostWaiting, perTurn, Turns } from '../../proxy/turns.ts'

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

it('lets whoever is alone begin at once, as far as one turn goes, and the rest in later ones, in order', async () => {
  const turns = new Turns()
  turns.take('somebody')
  for (let passed = 0; passed < 2_100; passed++) {
    await nextTurn()
    void turns.take('a')
  }
  await nextTurn()
  const begun: number[] = []
  for (let at = 0; at < perTurn.requests.alone * 3; at++) {
    const turn = turns.take('a')
    if (turn === undefined) begun.push(at)
    else void turn.then(() => begun.push(at))
  }
  expect(begun).toHaveLength(perTurn.requests.alone)
  await nextTurn()
  await nextTurn()
  expect(begun.length).toBeLessThanOrEqual(perTurn.requests.alone * 3)
  while (turns.waiting > 0) await nextTurn()
  await nextTurn()
  expect(begun).toEqual(Array.from({ length: perTurn.requests.alone * 3 }, (_, at) => at))
})

it('has one who asks for a little wait for one round of the others, however much they ask for', async () => {
  const turns = new Turns()
  const order: string[] = []
  const ask = (who: string) => {
    const turn = turns.take(who)
    if (turn === undefined) order.push(who)
    else void turn.then(() => order.push(who))
  }
  for (let at = 0; at < 500; at++) ask('flood')
  ask('little')
  while (turns.waiting > 0) await nextTurn()
  await nextTurn()
  expect(order).toHaveLength(501)
  // Whatever the first turn held, and one more of the flood.
  expect(order.indexOf('little')).toBeLessThanOrEqual(perTurn.requests.alone + 1)
})

it('has requests not wait for handshakes, and of those begins fewer', () => {
  const turns = new Turns()
  for (let at = 0; at < 50; at++) void turns.handshake(`source ${at % 8}`)
  expect(turns.waiting).toBeGreaterThanOrEqual(50 - perTurn.handshakes.alone)
  expect(turns.take('somebody known')).toBeUndefined()
})

it('keeps nothing when all have had their turn', async () => {
  const turns = new Turns()
  for (let at = 0; at < 100; at++) void turns.take(`caller ${at}`)
  while (turns.waiting > 0) await nextTurn()
  await nextTurn()
  expect(turns.take('anybody')).toBeUndefined()
})

it('has answers not wait for requests, and takes callers in turn for them, too', async () => {
  const turns = new Turns()
  for (let at = 0; at < 200; at++) void turns.take(`caller ${at % 3}`)
  const order: string[] = []
  const answer = (who: string) => {
    const turn = turns.answer(who)
    if (turn === undefined) order.push(who)
    else void turn.then(() => order.push(who))
  }
  for (let at = 0; at < 100; at++) answer('flood')
  answer('little')
  await nextTurn()
  await nextTurn()
  // Whatever the first turn held, and one round more.
  expect(order.indexOf('little')).toBeGreaterThan(0)
  expect(order.indexOf('little')).toBeLessThanOrEqual(perTurn.answers.alone + perTurn.answers.shared)
  while (turns.waiting > 0) await nextTurn()
})

it('has whoever has many waiting ask for no more until there are fewer', async () => {
  const turns = new Turns()
  expect(turns.room('flood')).toBeUndefined()
  for (let at = 0; at < mostWaiting + perTurn.requests.alone; at++) void turns.take('flood')
  const asking = turns.waiting
  expect(asking).toBeGreaterThanOrEqual(mostWaiting)
  let released = 0
  for (let at = 0; at < 3 * mostWaiting; at++) void turns.room('flood')?.then(() => (released += 1))
  expect(turns.waiting).toBe(asking + 3 * mostWaiting)
  // It is nobody else's matter.
  expect(turns.room('little')).toBeUndefined()
  // No more at once than could wait then.
  while (released === 0) await nextTurn()
  expect(released).toBeLessThanOrEqual(mostWaiting)
  while (turns.waiting > 0) await nextTurn()
  await nextTurn()
  expect(released).toBe(3 * mostWaiting)
  expect(turns.room('flood')).toBeUndefined()
})
