// Applies a JSON Patch (RFC 6902) as the API server would: strict, on a copy. Written for the tests alone.

export interface PatchStep {
  readonly op: string
  readonly path: string
  readonly from?: string
  readonly value?: unknown
}

type Container = unknown[] | Record<string, unknown>

/** @throws where a step does not apply */
export function applyPatch(document: unknown, steps: readonly PatchStep[]): unknown {
  let root: unknown = structuredClone(document)
  for (const { op, path, from, value } of steps) {
    if (op === 'test') {
      if (JSON.stringify(valueAt(root, path)) !== JSON.stringify(value)) throw new Error(`test of ${path}`)
    } else if (op === 'remove') {
      take(root, path)
    } else if (op === 'add' || op === 'replace') {
      if (op === 'replace') valueAt(root, path)
      root = put(root, path, structuredClone(value), op)
    } else if (op === 'move' && from !== undefined) {
      root = put(root, path, take(root, from), 'add')
    } else throw new Error(`no operation ${op}`)
  }
  return root
}

const tokens = (path: string) =>
  path
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))

function parentOf(root: unknown, path: string): { readonly parent: Container; readonly key: string } {
  const keys = tokens(path)
  let at: unknown = root
  for (const key of keys.slice(0, -1)) at = child(at, key, path)
  if (typeof at !== 'object' || at === null) throw new Error(`nothing holds ${path}`)
  return { parent: at as Container, key: keys.at(-1) ?? '' }
}

function child(at: unknown, key: string, path: string): unknown {
  if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) throw new Error(`there is no ${path}`)
  if (Array.isArray(at) && !/^(0|[1-9]\d*)$/.test(key)) throw new Error(`${path} is no index`)
  return Reflect.get(at, key)
}

function valueAt(root: unknown, path: string): unknown {
  return tokens(path).reduce((at, key) => child(at, key, path), root)
}

function take(root: unknown, path: string): unknown {
  const value = valueAt(root, path)
  const { parent, key } = parentOf(root, path)
  if (Array.isArray(parent)) parent.splice(Number(key), 1)
  else delete parent[key]
  return value
}

function put(root: unknown, path: string, value: unknown, op: 'add' | 'replace'): unknown {
  if (path === '') return value
  const { parent, key } = parentOf(root, path)
  if (!Array.isArray(parent)) {
    // A plain assignment to this key would change the prototype instead.
    Object.defineProperty(parent, key, { value, enumerable: true, configurable: true, writable: true })
    return root
  }
  const index = key === '-' ? parent.length : Number(key)
  if (!Number.isInteger(index) || index < 0 || index > parent.length) throw new Error(`${path} is beyond the list`)
  parent.splice(index, op === 'replace' ? 1 : 0, value)
  return root
}
