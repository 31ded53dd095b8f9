// The JSON of a bundle, taken apart: an object, its members, its keys. Bounds are the same for all of them.
import { BundleError, type BundleFault } from './error.ts'
import { JsonError, type JsonFault, type JsonObject, type JsonValue, parseJson } from './json.ts'

/** Characters. The bundle of a large organisation, with a hundred roots, has 200 KB. */
export const longestBundle = 1024 * 1024
/** A map of bundles has six levels, down to the certificates. */
const limits = { length: longestBundle, depth: 16 }
/** Keys of one trust domain. */
const mostKeys = 1_000

const faults: Readonly<Record<JsonFault, BundleFault>> = {
  syntax: 'bundle_not_json',
  duplicate_member: 'bundle_duplicate_member',
  too_deep: 'bundle_too_deep',
  too_large: 'bundle_too_large',
}

/** @throws BundleError */
export function readObject(text: string): JsonObject {
  let value: JsonValue
  try {
    value = parseJson(text, limits)
  } catch (error) {
    if (error instanceof JsonError) throw new BundleError(faults[error.code], error.message, error)
    throw error
  }
  if (!isObject(value)) throw new BundleError('bundle_not_json', 'it is not a JSON object')
  return value
}

/**
 * The elements of `keys`, which must be there and may be empty (SPIFFE Trust Domain and Bundle §4.1.3).
 * @throws BundleError
 */
export function keysOf(document: JsonObject): readonly JsonObject[] {
  const keys = document.get('keys')
  if (!Array.isArray(keys)) throw new BundleError('bundle_no_keys', 'it has no list of keys')
  if (keys.length > mostKeys) throw new BundleError('bundle_too_many_keys', `it has more than ${mostKeys} keys`)
  return keys.map((key: JsonValue) => {
    if (!isObject(key)) throw new BundleError('bundle_bad_key', 'a key is not an object')
    return key
  })
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return value instanceof Map
}

/** @returns undefined where it is missing @throws BundleError where it is something else than text */
export function textOf(key: JsonObject, name: string): string | undefined {
  const value = key.get(name)
  if (value === undefined || typeof value === 'string') return value
  throw new BundleError('bundle_bad_key', `the member ${name} of a key is not text`)
}
