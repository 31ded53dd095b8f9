// Writes JSON as google.protobuf.Struct, the form in which the Workload API gives claims.
import { entry, field } from './protobuf.ts'

/** @param value an object as JSON.parse gives it; a member that JSON does not know is written as null */
export function struct(value: Readonly<Record<string, unknown>>): Uint8Array {
  return Buffer.concat(
    Object.entries(value).map(([key, member]) =>
      entry(1, Buffer.concat([field(1, key), entry(2, memberBytes(member))])),
    ),
  )
}

/** google.protobuf.Value: null 1, number 2, text 3, boolean 4, struct 5, list 6. */
function memberBytes(value: unknown): Uint8Array {
  switch (typeof value) {
    case 'number':
      return double(value)
    case 'string':
      return entry(3, Buffer.from(value))
    case 'boolean':
      return Uint8Array.of(4 << 3, value ? 1 : 0)
    case 'object':
      if (Array.isArray(value)) return entry(6, Buffer.concat(value.map((each) => entry(1, memberBytes(each)))))
      if (value !== null) return entry(5, struct(Object.fromEntries(Object.entries(value))))
  }
  return Uint8Array.of(1 << 3, 0)
}

function double(value: number): Uint8Array {
  const bytes = Buffer.alloc(9)
  bytes[0] = (2 << 3) | 1
  bytes.writeDoubleLE(value, 1)
  return bytes
}
