// Holds a run against the committed floors and ceilings, so that a slower Postern does not go in unseen.
import { readFileSync } from 'node:fs'
import { z } from 'zod'

const schema = z.strictObject({
  atLeast: z.record(z.string(), z.number()),
  atMost: z.record(z.string(), z.number()),
})

export type Floors = z.infer<typeof schema>

export function readFloors(): Floors {
  return schema.parse(JSON.parse(readFileSync(new URL('./floors.json', import.meta.url), 'utf8')))
}

/** @returns a sentence for each figure that is worse than it may be; figures that were not measured are passed over */
export function heldAgainst(floors: Floors, figures: Readonly<Record<string, number>>): string[] {
  const tooLow = Object.entries(floors.atLeast).flatMap(([name, floor]) => {
    const value = figures[name]
    return value === undefined || value >= floor ? [] : [`${name} is ${value.toFixed(2)}, the floor is ${floor}`]
  })
  const tooHigh = Object.entries(floors.atMost).flatMap(([name, ceiling]) => {
    const value = figures[name]
    return value === undefined || value <= ceiling ? [] : [`${name} is ${value.toFixed(2)}, the ceiling is ${ceiling}`]
  })
  return [...tooLow, ...tooHigh]
}
