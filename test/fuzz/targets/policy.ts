// What rules are written in: CEL expressions, path patterns and globs. Good ones compile and decide; bad ones say what is wrong.
import { compileExpression, expressionProblem } from '../../../policy/expression.ts'
import { compileGlob } from '../../../policy/glob.ts'
import { compilePath, pathPatternProblem, readPath } from '../../../policy/paths.ts'
import { View } from '../../../policy/view.ts'
import { question } from '../../policy/support.ts'
import { must, mustEqual, type Target, utf8 } from '../target.ts'

const asked = question({ request: { path: '/v1/contacts/7', query: '?a=1&b=two', headers: ['X-A', 'b'] } })
const paths = ['/v1/contacts/7', '/', '/a//b/', '/v1/%2F/x', '/v1/contacts/7;x/y'].flatMap(
  (path) => readPath(path) ?? [],
)

export const target: Target = {
  name: 'policy',
  longest: 300,
  seeds: [
    'chain.depth <= 2 && principal.kind == "user"',
    'request.path.startsWith("/v1/") && request.method in ["GET", "HEAD"]',
    'request.query["a"].exists(v, v == "1") || size(chain.agents) > 3',
    'glob(request.host, "*.example") ? true : false',
    '/v1/**/items/*',
    '/v1/contacts/a-*-z',
  ],
  dictionary: [
    ...[
      'chain.depth',
      'chain.agents',
      'chain.scopes',
      'principal.id',
      'request.path',
      'request.query',
      'request.headers',
      'request.host',
    ],
    ...[
      '&&',
      '||',
      '!',
      '==',
      '<=',
      '?',
      ':',
      '(',
      ')',
      '[',
      ']',
      '"',
      "'",
      '.',
      ',',
      'in',
      'size(',
      '.startsWith(',
      '.contains(',
      '.exists(x, x',
      '.all(x,',
    ],
    ...[
      '.map(x,',
      'int(',
      'string(',
      'glob(',
      'timestamp(',
      'duration(',
      'now',
      '1',
      '-9223372036854775808',
      '1e400',
      '/',
      '%',
      '*',
      '+',
      'null',
      'r"',
      'b"',
    ],
    ...['/v1/', '**', '/**/', '*', '%2F', '%41', '..', ';', '?', '\\', '\n', 'é', '.matches("(a+)+$")'],
  ],
  run(input) {
    const text = utf8(input)
    const problem = expressionProblem(text)
    if (problem === undefined) {
      const expression = compileExpression(text)
      const view = new View(asked)
      const outcome = expression.test(view)
      must(['met', 'unmet', 'unreadable'].includes(outcome), `an outcome: ${outcome}`)
      mustEqual(expression.test(view), outcome, 'it decides otherwise the second time')
      must(expression.describe(view, true) !== '', 'nothing to say')
    } else must(problem !== '', 'a problem without a word')
    if (pathPatternProblem(text) === undefined) checkPattern(text)
    checkGlob(text)
  },
}

function checkPattern(text: string): void {
  const matches = compilePath(text)
  for (const { exact, lenient } of paths)
    must(typeof matches(exact) === 'boolean' && typeof matches(lenient) === 'boolean', 'a verdict')
  if (text.includes('*')) return
  const read = readPath(text.replace(/[^\x00-\x7f]+/gu, encodeURIComponent))
  if (read !== undefined) must(matches(read.exact), `a pattern that does not match itself: ${text}`)
}

/** Against the same as a regular expression. */
function checkGlob(text: string): void {
  const [pattern = '', value = text] = text.split('\n', 2)
  if (pattern.length > 40 || value.length > 80) return
  const expected = new RegExp(`^${pattern.replace(/[\\^$+?.()|[\]{}/]/g, '\\$&').replace(/\*+/g, '[^]*')}$`)
  mustEqual(
    compileGlob(pattern)(value),
    expected.test(value),
    `whether ${JSON.stringify(pattern)} fits ${JSON.stringify(value)}`,
  )
}
