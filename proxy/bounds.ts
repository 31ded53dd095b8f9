// What one caller may have of the one thread. A row of docs/limits.md each.
import { mostAtOnce } from './open-exchanges.ts'
import { mostWaiting, perTurn } from './turns.ts'

export const pipelineBounds = [
  {
    limit: 'Requests and tunnels of one caller under way at once',
    value: mostAtOnce,
    unit: 'count',
    does: 'reject',
    how: '`too_many_at_once` (429)',
    metric: 'postern_requests_total',
    test: ['test/proxy/open-exchanges.test.ts', 'of one caller are bounded, and those of another are not touched'],
  },
  {
    limit: 'Requests begun in one turn of the event loop, while several ask',
    value: perTurn.requests.shared,
    unit: 'count',
    does: 'shed',
    how: 'the rest waits for the next turns, one caller after the other',
    metric: 'postern_turns_waiting',
    test: [
      'test/proxy/turns.test.ts',
      'has one who asks for a little wait for one round of the others, however much they ask for',
    ],
  },
  {
    limit: 'The same, while one asks alone',
    value: perTurn.requests.alone,
    unit: 'count',
    does: 'shed',
    how: 'the rest waits for the next turns',
    metric: 'postern_turns_waiting',
    test: [
      'test/proxy/turns.test.ts',
      'lets whoever is alone begin at once, as far as one turn goes, and the rest in later ones, in order',
    ],
  },
  {
    limit: 'Answers passed on in one turn, while several ask',
    value: perTurn.answers.shared,
    unit: 'count',
    does: 'shed',
    how: 'the rest waits for the next turns, one caller after the other; 32 while one asks alone',
    metric: 'postern_turns_waiting',
    test: ['test/proxy/turns.test.ts', 'has answers not wait for requests, and takes callers in turn for them, too'],
  },
  {
    limit: 'Requests and answers of one caller that wait for their turn',
    value: mostWaiting,
    unit: 'count',
    does: 'shed',
    how: 'connections on which more could be asked are not read until there are fewer',
    metric: 'postern_turns_waiting',
    test: ['test/proxy/turns.test.ts', 'has whoever has many waiting ask for no more until there are fewer'],
  },
  {
    limit: 'Connections whose heads are late that are refused in one turn, while heads of several addresses are',
    value: perTurn.late.shared,
    unit: 'count',
    does: 'shed',
    how: `the rest waits for the next turns; ${perTurn.late.alone} while those of one address alone are`,
    metric: 'postern_turns_waiting',
    test: [
      'test/proxy/capture/listener-limits.test.ts',
      'of heads that are late together a few are refused in each turn of the event loop',
    ],
  },
  {
    limit: 'TLS handshakes begun in one turn of the event loop, while several ask',
    value: perTurn.handshakes.shared,
    unit: 'count',
    does: 'shed',
    how: 'the rest waits for the next turns, one source after the other; requests do not wait for them',
    metric: 'postern_turns_waiting',
    test: ['test/proxy/turns.test.ts', 'has requests not wait for handshakes, and of those begins fewer'],
  },
] as const
