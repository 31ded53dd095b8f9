// What it costs that a request is made on somebody's behalf: at the end of a chain of three, against none.
import { delegated } from '../subjects/delegated.ts'
import { postern } from '../subjects/postern.ts'
import { requests } from './requests.ts'
import type { Scenario } from './scenario.ts'

const loads = requests('1 KB on behalf', '/1k', 64)

export const chain: Scenario = {
  name: 'chain',
  run: (contest, _subjects, pace) => loads.run(contest, [postern, delegated], pace),
}
