// The tree of a transaction, drawn for a terminal.
import type { ChainTree, Deed, Hop, StopOrder } from './chain-tree.ts'
import { type Colour, harmless, type Paint } from './terminal-text.ts'

export interface DrawOptions {
  /** Columns; longer lines go on below. */
  readonly width: number
  readonly paint: Paint
}

/** Sorts of request that are drawn for one hop, the most frequent ones. */
const mostDrawn = 30
/** Less room is given to no text, however deep it stands. */
const leastRoom = 20

interface Line {
  readonly text: string
  readonly colour?: Colour | undefined
  /** Columns by which what goes on below is moved in. */
  readonly hanging?: number
}

export function drawChain(tree: ChainTree, options: DrawOptions): string[] {
  const { txn, principal, from, to, stops, roots, root_issuer: issuer } = tree
  const head: Line[] = [
    { text: `Transaction ${txn}, ${moment(from)} to ${moment(to)} UTC`, colour: 'bold' },
    { text: `${principal === undefined ? 'on whose behalf is not known' : `${principal.kind} ${principal.id}`}` },
    ...(issuer === undefined ? [] : [{ text: `granted by ${issuer}`, colour: 'grey' as const }]),
  ]
  return [
    ...head.flatMap((line) => laid(line, '', options)),
    ...stops.flatMap((stop) => laid(stopLine(stop), roots.length === 0 ? '' : '│ ', options)),
    ...roots.flatMap((hop, at) => drawHop(hop, '', at === roots.length - 1, options)),
  ]
}

function drawHop(hop: Hop, before: string, isLast: boolean, options: DrawOptions): string[] {
  const { children } = hop
  const inside = `${before}${isLast ? '   ' : '│  '}`
  const guide = `${inside}${children.length === 0 ? '  ' : '│ '}`
  const [title = '', ...more] = laid({ text: hop.id, colour: 'bold' }, inside, options)
  return [
    `${before}${isLast ? '└─ ' : '├─ '}${title.slice(inside.length)}`,
    ...more,
    ...aboutHop(hop).flatMap((line) => laid(line, guide, options)),
    ...children.flatMap((child, at) => drawHop(child, inside, at === children.length - 1, options)),
  ]
}

function aboutHop(hop: Hop): Line[] {
  const { scopes, dropped, constraints, expires_at: expires, created_at: created } = hop
  const kept = dropped.length === 0 ? '' : `, not ${dropped.join(' ')}`
  const span = created === undefined ? 'handed on outside these records' : `from ${clock(created)}`
  const until = expires === undefined ? '' : ` until ${clock(expires)}`
  return [
    { text: `may ${scopes.length === 0 ? 'nothing' : scopes.join(' ')}${kept}, ${span}${until}` },
    ...constraints.map((bound) => ({ text: `bound: ${boundText(bound)}` })),
    ...deedLines(hop),
    ...hop.denied_handoffs.map(
      ({ time, to, reason }): Line => ({
        text: `✗ ${clock(time)} was not let hand on to ${to}: ${reason}`,
        colour: 'red',
        hanging: 2,
      }),
    ),
    ...(hop.revoked === undefined
      ? []
      : [{ text: `■ ${clock(hop.revoked.time)} ${hop.revoked.reason || `ended by ${hop.revoked.by}`}`, hanging: 2 }]),
    ...hop.stops.map(stopLine),
  ]
}

function boundText({ key, ...bounds }: Hop['constraints'][number]): string {
  const told = Object.entries(bounds).map(
    ([type, value]) => `${type.replaceAll('_', ' ')} ${Array.isArray(value) ? value.join(', ') : value}`,
  )
  return `${key} ${told.length === 0 ? 'of a type that is not known' : told.join('; ')}`
}

const marks = { allowed: '✓', refused: '✗', failed: '!' } as const
const colours = { allowed: undefined, refused: 'red', failed: 'yellow' } as const

function deedLines({ requests, other_requests: others }: Hop): Line[] {
  const frequent = [...requests].sort((one, other) => other.count - one.count).slice(0, mostDrawn)
  const drawn = requests.filter((deed) => frequent.includes(deed))
  const digits = Math.max(1, ...drawn.map(({ count }) => String(count).length))
  const left =
    requests.reduce((sum, { count }) => sum + count, others) - drawn.reduce((sum, { count }) => sum + count, 0)
  const lines = drawn.map((deed) => deedLine(deed, digits))
  return left === 0 ? lines : [...lines, { text: `… and ${left} requests of other sorts (--json)`, colour: 'grey' }]
}

function deedLine({ method, place, path, outcome, result, count }: Deed, digits: number): Line {
  return {
    text: `${marks[outcome]} ${String(count).padStart(digits)}× ${method} ${method === 'CONNECT' ? place : `${place}${path}`} → ${result}`,
    colour: colours[outcome],
    hanging: digits + 4,
  }
}

function stopLine({ time, event, what, by, reason, until }: StopOrder): Line {
  const who = by.uid === undefined ? (by.via ?? 'somebody') : `uid ${by.uid}`
  const which = what.id === undefined ? 'everything' : `${what.kind} ${what.id}`
  const why = reason === undefined ? '' : `: ${reason}`
  if (event === 'stop.lifted')
    return { text: `▶ ${clock(time)} the stop of ${which} was lifted by ${who}`, colour: 'green', hanging: 2 }
  const end = until === undefined ? '' : `, until ${clock(until)}`
  return { text: `■ ${clock(time)} ${which} was stopped by ${who}${end}${why}`, colour: 'red', hanging: 2 }
}

/** In as many lines as it takes; the guides keep their place and are not painted. */
function laid({ text, colour, hanging = 0 }: Line, guide: string, { width, paint }: DrawOptions): string[] {
  const first = Math.max(leastRoom, width - guide.length)
  return folded(harmless(text), first, Math.max(leastRoom, first - hanging)).map((piece, at) => {
    const painted = colour === undefined ? piece : paint(piece, colour)
    return `${guide}${at === 0 ? '' : ' '.repeat(hanging)}${painted}`
  })
}

/** Folds at spaces; a word without room is cut in two. */
function folded(text: string, first: number, other: number): string[] {
  const lines: string[] = []
  let rest = text
  for (let room = first; rest.length > room; room = other) {
    const space = rest.lastIndexOf(' ', room)
    const at = space > room / 2 ? space : room
    lines.push(rest.slice(0, at).trimEnd())
    rest = rest.slice(at).trimStart()
  }
  return [...lines, rest]
}

const clock = (time: string) => time.slice(11, 19)
const moment = (time: string) => `${time.slice(0, 10)} ${time.slice(11, 19)}`
