// Who and what the second part of the story is played with.
import type { Narrator } from './narrator.ts'
import type { RecordReader } from './records.ts'
import type { Scene } from './scene.ts'
import type { Team } from './team.ts'

export interface SecondCast {
  readonly scene: Scene
  readonly team: Team
  readonly records: RecordReader
  readonly narrator: Narrator
}
