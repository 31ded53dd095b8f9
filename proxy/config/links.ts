// Which directory entries decide what a path leads to: the file itself, and each symbolic link on the way.
import { lstatSync, readlinkSync } from 'node:fs'
import { join, parse, resolve, sep } from 'node:path'

export interface Link {
  readonly folder: string
  readonly name: string
}

// As many as Linux follows (path_resolution(7)).
const maxLinks = 40

/**
 * A mounted ConfigMap is `postern.yaml → ..data/postern.yaml` with `..data → ..2026_01_01`, and is replaced by renaming
 * `..data`: the entry that changes is not the file's. A folder that is replaced by another of the same name is not seen.
 */
export function linksOf(path: string): Link[] {
  const links: Link[] = []
  let { folder, rest } = split(path)
  while (links.length <= maxLinks) {
    const [name, ...further] = rest
    if (name === undefined) break
    const target = linkTarget(join(folder, name))
    if (target !== undefined || further.length === 0) links.push({ folder, name })
    if (target === undefined) {
      folder = join(folder, name)
      rest = further
    } else ({ folder, rest } = split(resolve(folder, target, ...further)))
  }
  return links
}

function split(path: string): { folder: string; rest: string[] } {
  const { root } = parse(resolve(path))
  return {
    folder: root,
    rest: resolve(path)
      .slice(root.length)
      .split(sep)
      .filter((name) => name !== ''),
  }
}

function linkTarget(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined
  } catch {
    return undefined
  }
}
