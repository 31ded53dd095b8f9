// The targets: each file of the folder is one.
import { readdirSync } from 'node:fs'
import type { Target } from './target.ts'

const folder = new URL('./targets/', import.meta.url)

export function targetNames(): readonly string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -3))
    .toSorted()
}

/** @param name one of `targetNames` */
export async function loadTarget(name: string): Promise<Target> {
  const { target }: { readonly target: Target } = await import(new URL(`${name}.ts`, folder).href)
  if (target.name !== name) throw new Error(`${name}.ts names its target ${target.name}`)
  return target
}
