// A program for the tests: protects itself as `exec` does, then waits until its input ends.
import { exposedAbove } from '../../cli/exec/exposed.ts'
import { blankVariables, protectProcess } from '../../cli/protect.ts'

const { gap } = protectProcess()
const copied = process.env.CANARY
blankVariables(['CANARY', 'NOT_SET'])
const exposed = exposedAbove(new Set(['CANARY']))
console.log(JSON.stringify({ gap, copied, left: process.env.CANARY, exposed }))
process.stdin.resume()
