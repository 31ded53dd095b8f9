// One showing of the demo, from the empty stage to the empty stage.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Actor } from './actor.ts'
import { keepRunning } from './keep.ts'
import { Narrator, paint } from './narrator.ts'
import { RecordReader } from './records.ts'
import { type Scene, setScene } from './scene.ts'
import { tellSecondAct } from './second-act.ts'
import { tellStory } from './story.ts'

/**
 * @param keep go on running after the story, until `signal`
 * @param signal ends it early
 * @returns whether every claim held
 */
export async function runDemo(keep: boolean, signal: AbortSignal): Promise<boolean> {
  const began = performance.now()
  console.log(
    `${paint('bold', 'Postern')}: an agent, the services it uses, and Postern between them. All on this machine.`,
  )
  const scene = await setScene()
  try {
    if (signal.aborted) return false
    const aborted = once(signal, 'abort').then(() => false)
    const held = await Promise.race([perform(scene, began), aborted])
    if (held && keep) await keepRunning(scene, signal)
    return held
  } catch (error) {
    // What ends early by our own doing ends in many ways.
    if (signal.aborted) return false
    throw error
  } finally {
    await scene.close()
  }
}

async function perform(scene: Scene, began: number): Promise<boolean> {
  const narrator = new Narrator()
  const stolenKey = `sk_live_${randomBytes(18).toString('base64url')}`
  const agent = new Actor(scene.postern, stolenKey, (line) => narrator.tell(line))
  const records = new RecordReader(scene.directory)
  await tellStory({ scene, agent, narrator, stolenKey, records, told: [] })
  await tellSecondAct(scene, records, narrator)
  return narrator.conclude((performance.now() - began) / 1000)
}
