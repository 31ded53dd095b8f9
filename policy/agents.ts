// Which callers a rule means: one SPIFFE ID, or everything below a path.

/** Longest SPIFFE ID (SPIFFE-ID §2.3). */
export const maxIdLength = 2048

/** A SPIFFE ID (SPIFFE-ID §2) with at least one path segment, or a prefix of one followed by `/*`. */
export const agentPattern =
  /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)*\/(?:\*|(?!\.{1,2}$)[A-Za-z0-9._-]+)$/

/** Whether the pattern means a subtree. */
export function isSubtree(pattern: string): boolean {
  return pattern.endsWith('/*')
}

/** `spiffe://td/ns/*` → `spiffe://td/ns/`, which each ID below begins with. */
export function subtreeOf(pattern: string): string {
  return pattern.slice(0, -1)
}

export function agentMatches(pattern: string, id: string): boolean {
  if (!isSubtree(pattern)) return id === pattern
  const prefix = subtreeOf(pattern)
  return id.length > prefix.length && id.startsWith(prefix)
}

/** A caller, as the index looks it up. */
export class Agent {
  readonly id: string
  #subtrees: readonly string[] | undefined

  constructor(id: string) {
    this.id = id
  }

  /** Every subtree that the ID lies in, innermost first: `spiffe://td/ns/a` → `spiffe://td/ns/`, `spiffe://td/`. */
  get subtrees(): readonly string[] {
    this.#subtrees ??= subtreesAround(this.id)
    return this.#subtrees
  }
}

function subtreesAround(id: string): readonly string[] {
  const found: string[] = []
  const authority = 'spiffe://'.length
  for (let at = id.lastIndexOf('/'); at >= authority; at = id.lastIndexOf('/', at - 1)) {
    if (at < id.length - 1) found.push(id.slice(0, at + 1))
  }
  return found
}
