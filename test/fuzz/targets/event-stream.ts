// Event streams (SSE) and numbers in JSON, read as they pass: wherever they are cut, the same comes out as of the whole.
import { EventStream } from '../../../proxy/budget/event-stream.ts'
import { JsonNumbers } from '../../../proxy/budget/json-numbers.ts'
import { latin1, mustEqual, type Target } from '../target.ts'

const paths = [['usage', 'total_tokens'], ['n']]

export const target: Target = {
  name: 'event-stream',
  longest: 600,
  seeds: [
    'data: {"usage":{"total_tokens":12}}\n\ndata: [DONE]\n\n',
    'event: x\r\ndata:{"n":1}\r\ndata: ,\r\n\r\n: comment\r\rdata',
    '{"choices":[{"n":9}],"usage":{"total_tokens":-1.5e3,"x":"\\"}"},"n":0}',
    '{"n":1}\n{"n":2}\n',
  ],
  dictionary: [
    ...[
      'data:',
      'data: ',
      'data',
      '\n',
      '\r',
      '\r\n',
      '\n\n',
      'event: ',
      'id',
      ':',
      '\ufeff',
      '{"n":',
      '"usage":',
      '"total_tokens":',
    ],
    ...['{', '}', '[', ']', ',', '"', '\\', '\\u006e', '1e5', '-0', 'true', 'null'],
  ],
  run(input) {
    const whole = eventsOf(input, input.length)
    const size = 1 + ((input[0] ?? 0) % 7)
    mustEqual(eventsOf(input, size), whole, `cut into pieces of ${size}`)
    mustEqual(whole, expectedEvents(latin1(input)), 'another reader of events')
    const numbers = numbersOf(input, input.length)
    mustEqual(numbersOf(input, size), numbers, `numbers of pieces of ${size}`)
    // A numeral of more than 64 characters is not looked for.
    const value = /[-+.\deE]{65}/.test(latin1(input)) ? undefined : parsed(latin1(input))
    if (value !== undefined) mustEqual(numbers, expectedNumbers(value), 'the numbers that JSON.parse finds')
  },
}

function eventsOf(input: Uint8Array, size: number): string[] {
  const events: string[] = []
  let data = ''
  const stream = new EventStream({
    push: (bytes) => {
      data += latin1(bytes)
    },
    restart: () => {
      events.push(data)
      data = ''
    },
  })
  for (let at = 0; at < input.length; at += size) stream.push(input.subarray(at, at + size))
  return events
}

/** HTML §9.2.6 in the plainest way: lines, then fields; an event ends with an empty line. */
function expectedEvents(text: string): string[] {
  const lines = text.split(/\r\n|\n|\r/)
  // What has no line end is no line yet.
  lines.pop()
  const events: string[] = []
  let data: string[] = []
  for (const line of lines) {
    if (line === '') {
      if (data.length > 0) events.push(data.join('\n'))
      data = []
    } else if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''))
  }
  return events
}

function numbersOf(input: Uint8Array, size: number): readonly (number | undefined)[] {
  const numbers = new JsonNumbers(paths)
  for (let at = 0; at < input.length; at += size) numbers.push(input.subarray(at, at + size))
  return numbers.found
}

function parsed(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) && !hasTwice(text) ? value : undefined
  } catch {
    return undefined
  }
}

/** Of two members of a name JSON.parse keeps the last, and the reader below the last number. */
function hasTwice(text: string): boolean {
  const names = [...text.matchAll(/"((?:[^"\\]|\\.)*)"\s*:/g)].map(([, name = '']) => JSON.parse(`"${name}"`))
  return new Set(names).size !== names.length
}

function expectedNumbers(value: object): readonly (number | undefined)[] {
  return paths.map((path) => {
    const found = path.reduce<unknown>(
      (at, key) =>
        typeof at === 'object' && at !== null && !Array.isArray(at) && Object.hasOwn(at, key)
          ? Reflect.get(at, key)
          : undefined,
      value,
    )
    return typeof found === 'number' && Number.isFinite(found) ? found : undefined
  })
}
