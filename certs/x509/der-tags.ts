// Identifier octets of DER (X.690 §8.1.2), for reader and writer.

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

/** `[n]` with content of primitive form: an implicit tag of a primitive type. */
export function contextPrimitive(number: number): number {
  return 0x80 | number
}

/** `[n]` with constructed content: an explicit tag, or an implicit one of a constructed type. */
export function contextConstructed(number: number): number {
  return 0xa0 | number
}
