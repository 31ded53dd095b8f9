// What runs in production, by package-lock.json: found by following what each package asks for, as Node.js would look for it.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

interface Locked {
  readonly version: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly os?: readonly string[]
}

/**
 * @param node the package whose Node.js is in the image; those for other machines are left out
 * @returns `name@version`, each once, in order
 */
export function productionOf(checkout: string, node: string): readonly string[] {
  const { packages }: { packages: Readonly<Record<string, Locked>> } = JSON.parse(
    readFileSync(join(checkout, 'package-lock.json'), 'utf8'),
  )
  const found = new Set<string>()
  const follow = (path: string) => {
    const { dependencies = {}, optionalDependencies = {} } = packages[path] ?? {}
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const place = placeOf(name, path)
      if (place === undefined || found.has(place)) continue
      if (packages[place]?.os !== undefined && name !== node) continue
      found.add(place)
      follow(place)
    }
  }
  const placeOf = (name: string, from: string): string | undefined => {
    for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
      const place = `${at}${at === '' ? '' : '/'}node_modules/${name}`
      if (packages[place] !== undefined) return place
      if (at === '') return undefined
    }
  }
  follow('')
  const named = [...found].map((place) => `${place.split('node_modules/').at(-1)}@${packages[place]?.version}`)
  return [...new Set(named)].sort()
}
