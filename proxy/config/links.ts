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
 * `..data`: the entry that changes is not the file's. Where something is missing on the way, its entry is the last.
 */
export function linksOf(path: string): Link[] {
  const links: Link[] = []
  let { folder, rest } = split(path)
  while (links.length <= maxLinks) {
    const [name, ...further] = rest
    if (name === undefined) break
    const found = look(join(folder, name))
    if (found.kind !== 'plain' || further.length === 0) links.push({ folder, name })
    if (found.kind === 'missing') break
    if (found.kind === 'link') ({ folder, rest } = split(resolve(folder, found.target, ...further)))
    else {
      folder = join(folder, name)
      rest = further
    }
  }
  return links
}

function split(path: string): { folder: string; rest: string[] } {
  const absolute = resolve(path)
  const { root } = parse(absolute)
  return {
    folder: root,
    rest: absolute
      .slice(root.length)
      .split(sep)
      .filter((name) => name !== ''),
  }
}

type Found = { readonly kind: 'plain' | 'missing' } | { readonly kind: 'link'; readonly target: string }

function look(path: string): Found {
  try {
    return lstatSync(path).isSymbolicLink() ? { kind: 'link', target: readlinkSync(path) } : { kind: 'plain' }
  } catch {
    return { kind: 'missing' }
  }
}
