// Changes DER as somebody who can write it: an element is changed, taken out, doubled or moved, and all lengths still fit.

import { mutated } from './mutate.ts'
import type { Random } from './random.ts'

interface Node {
  tag: number
  /** Octets that its length takes beyond those that it needs, which DER forbids. */
  surplus: number
  /** Before the content: the count of unused bits of a BIT STRING that holds elements. */
  prefix: Uint8Array
  content: Uint8Array | Node[]
}

const bitString = 3
const octetString = 4
const tags = [1, 2, 3, 4, 5, 6, 12, 19, 22, 23, 24, 48, 49, 0x80, 0x81, 0x82, 0x86, 0x87, 0xa0, 0xa1, 0xa3]

/** @param words encoded elements to put in */
export function mutatedDer(input: Uint8Array, random: Random, words: readonly Uint8Array[]): Uint8Array {
  const nodes = read(input)
  if (nodes === undefined || nodes.length === 0)
    return mutated(input, random, { dictionary: words, other: input, longest: 16_384 })
  for (let left = 1 + random.below(3); left > 0; left--) change(nodes, random, words)
  return write(nodes)
}

function change(nodes: Node[], random: Random, words: readonly Uint8Array[]): void {
  const lists: Node[][] = []
  collect(nodes, lists)
  if (lists.length === 0) return
  const list = random.pick(lists)
  const at = random.below(list.length)
  const node = list[at]
  if (node === undefined) return
  switch (random.below(8)) {
    case 0:
      list.splice(at, 1)
      break
    case 1:
      list.splice(at, 0, node)
      break
    case 2:
      list.splice(random.below(list.length), 0, ...list.splice(at, 1))
      break
    case 3:
      node.tag = random.pick(tags)
      break
    case 4: {
      const [put] = read(random.pick(words)) ?? []
      if (put !== undefined) list.splice(at, random.below(2), put)
      break
    }
    case 5:
      node.surplus = 1
      break
    default: {
      const content = node.content instanceof Uint8Array ? node.content : write(node.content)
      node.content = mutated(content, random, { dictionary: words, other: content, longest: 8_192 })
    }
  }
}

function collect(nodes: Node[], lists: Node[][]): void {
  if (nodes.length > 0) lists.push(nodes)
  for (const { content } of nodes) if (Array.isArray(content)) collect(content, lists)
}

/** Undefined when the bytes are not a row of elements. */
function read(bytes: Uint8Array): Node[] | undefined {
  const nodes: Node[] = []
  let at = 0
  while (at < bytes.length) {
    const tag = bytes[at] ?? 0
    const first = bytes[at + 1]
    if (first === undefined) return undefined
    const octets = first < 0x80 ? 0 : first & 0x7f
    if (octets > 3) return undefined
    let length = octets === 0 ? first : 0
    for (let index = 0; index < octets; index++) length = length * 256 + (bytes[at + 2 + index] ?? 0)
    const start = at + 2 + octets
    at = start + length
    if (at > bytes.length) return undefined
    nodes.push(nodeOf(tag, bytes.subarray(start, at)))
  }
  return nodes
}

function nodeOf(tag: number, content: Uint8Array): Node {
  const prefix = content.subarray(0, tag === bitString ? 1 : 0)
  const inner = content.subarray(prefix.length)
  const holds = (tag & 0x20) !== 0 || (inner[0] === 0x30 && (tag === octetString || tag === bitString))
  const children = holds ? read(inner) : undefined
  return children === undefined
    ? { tag, surplus: 0, prefix: new Uint8Array(), content }
    : { tag, surplus: 0, prefix, content: children }
}

function write(nodes: readonly Node[]): Uint8Array {
  return Buffer.concat(
    nodes.map(({ tag, surplus, prefix, content }) => {
      const inner = Array.isArray(content) ? Buffer.concat([prefix, write(content)]) : content
      return Buffer.concat([Buffer.of(tag), lengthOf(inner.length, surplus), inner])
    }),
  )
}

function lengthOf(length: number, surplus: number): Uint8Array {
  const needed = length < 0x80 ? 0 : length < 0x100 ? 1 : length < 0x1_0000 ? 2 : 3
  const octets = Math.min(3, needed + surplus)
  if (octets === 0) return Buffer.of(length)
  const bytes = Buffer.alloc(1 + octets, 0x80 | octets)
  bytes.writeUIntBE(length, 1, octets)
  return bytes
}
