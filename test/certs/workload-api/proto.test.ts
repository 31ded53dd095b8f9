// Our reading and writing of the messages, against protobufjs as the second opinion.
import fc from 'fast-check'
import protobuf from 'protobufjs/light.js'
import { describe, expect, test } from 'vitest'
import {
  jwtBundlesAnswer,
  jwtSvidAnswer,
  jwtSvidRequest,
  readJwtBundlesAnswer,
  readJwtSvidAnswer,
  readJwtSvidRequest,
  readValidateJwtSvidAnswer,
  readValidateJwtSvidRequest,
  readX509SvidAnswer,
  validateJwtSvidAnswer,
  validateJwtSvidRequest,
  x509BundlesAnswer,
  x509SvidAnswer,
} from '../../../certs/workload-api/proto.ts'
import { ProtobufError } from '../../../certs/workload-api/protobuf.ts'

const bytes = (id: number) => ({ type: 'bytes', id })
const string = (id: number) => ({ type: 'string', id })
const valueByName = (id: number) => ({ keyType: 'string', type: 'Value', id })
const bytesByName = (id: number) => ({ keyType: 'string', type: 'bytes', id })
const root = protobuf.Root.fromJSON({
  nested: {
    X509SVIDResponse: {
      fields: {
        svids: { rule: 'repeated', type: 'X509SVID', id: 1 },
        crl: { rule: 'repeated', type: 'bytes', id: 2 },
        federatedBundles: bytesByName(3),
      },
    },
    X509SVID: {
      fields: { spiffeId: string(1), x509Svid: bytes(2), x509SvidKey: bytes(3), bundle: bytes(4), hint: string(5) },
    },
    X509BundlesResponse: { fields: { crl: { rule: 'repeated', type: 'bytes', id: 1 }, bundles: bytesByName(2) } },
    JWTSVIDRequest: { fields: { audience: { rule: 'repeated', type: 'string', id: 1 }, spiffeId: string(2) } },
    JWTSVIDResponse: { fields: { svids: { rule: 'repeated', type: 'JWTSVID', id: 1 } } },
    JWTSVID: { fields: { spiffeId: string(1), svid: string(2), hint: string(3) } },
    JWTBundlesResponse: { fields: { bundles: bytesByName(1) } },
    ValidateJWTSVIDRequest: { fields: { audience: string(1), svid: string(2) } },
    ValidateJWTSVIDResponse: { fields: { spiffeId: string(1), claims: { type: 'Struct', id: 2 } } },
    Struct: { fields: { fields: valueByName(1) } },
    Value: {
      oneofs: { kind: { oneof: ['nullValue', 'numberValue', 'stringValue', 'boolValue', 'structValue', 'listValue'] } },
      fields: {
        nullValue: { type: 'int32', id: 1 },
        numberValue: { type: 'double', id: 2 },
        stringValue: string(3),
        boolValue: { type: 'bool', id: 4 },
        structValue: { type: 'Struct', id: 5 },
        listValue: { type: 'List', id: 6 },
      },
    },
    List: { fields: { values: { rule: 'repeated', type: 'Value', id: 1 } } },
  },
})
const theirs = (type: string, value: object) => root.lookupType(type).encode(value).finish()
const sameAs = (type: string, message: Uint8Array) =>
  root.lookupType(type).toObject(root.lookupType(type).decode(message), { defaults: true, bytes: Buffer })

const someBytes = fc.uint8Array({ maxLength: 300 }).map((each) => Buffer.from(each))
const text = fc.string({ unit: 'grapheme', maxLength: 60 })
// Of an empty value protobufjs makes an empty array.
const map = fc.dictionary(
  text.filter((key) => key !== '__proto__'),
  someBytes.filter(({ length }) => length > 0),
  { maxKeys: 5, noNullPrototype: true },
)
const x509 = fc.record({
  svids: fc.array(
    fc.record({ spiffeId: text, x509Svid: someBytes, x509SvidKey: someBytes, bundle: someBytes, hint: text }),
    { maxLength: 5 },
  ),
  crl: fc.array(someBytes, { maxLength: 3 }),
  federatedBundles: map,
})
const plain = (each: Uint8Array) => Buffer.from(each)

describe('X509SVIDResponse', () => {
  test('is read as it was written by protobufjs', () => {
    fc.assert(
      fc.property(x509, (value) => {
        const { svids, revocationLists, federatedBundles } = readX509SvidAnswer(theirs('X509SVIDResponse', value))
        expect(
          svids.map(({ spiffeId, certificates, key, bundle, hint }) => ({
            spiffeId,
            x509Svid: plain(certificates),
            x509SvidKey: plain(key),
            bundle: plain(bundle),
            hint,
          })),
        ).toEqual(value.svids)
        expect(revocationLists.map(plain)).toEqual(value.crl)
        expect(Object.fromEntries(Array.from(federatedBundles, ([key, der]) => [key, plain(der)]))).toEqual(
          value.federatedBundles,
        )
      }),
      { numRuns: 60 },
    )
  })

  test('is written so that protobufjs reads the same', () => {
    fc.assert(
      fc.property(x509, (value) => {
        const message = x509SvidAnswer({
          svids: value.svids.map(({ spiffeId, x509Svid, x509SvidKey, bundle, hint }) => ({
            spiffeId,
            certificates: x509Svid,
            key: x509SvidKey,
            bundle,
            hint,
          })),
          revocationLists: value.crl,
          federatedBundles: new Map(Object.entries(value.federatedBundles)),
        })
        expect(sameAs('X509SVIDResponse', message)).toEqual(value)
      }),
      { numRuns: 60 },
    )
  })

  test('a list without end is refused before it is built', () => {
    const endless = Buffer.alloc(2_000_000, Buffer.from([0x0a, 0x00]))
    const before = process.memoryUsage().heapUsed
    expect(() => readX509SvidAnswer(endless)).toThrow('a list has more than 1024 members')
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(16e6)
  })
})

test('X.509 bundles are written so that protobufjs reads the same', () => {
  const message = x509BundlesAnswer(new Map([['spiffe://acme.example', Buffer.from('der')]]))
  expect(sameAs('X509BundlesResponse', message)).toEqual({
    crl: [],
    bundles: { 'spiffe://acme.example': Buffer.from('der') },
  })
})

test('JWT-SVIDs, their requests and bundles go there and back', () => {
  const request = { audience: ['a', 'https://b/ü'], spiffeId: 'spiffe://acme.example/a' }
  expect(sameAs('JWTSVIDRequest', jwtSvidRequest(request))).toEqual(request)
  expect(readJwtSvidRequest(theirs('JWTSVIDRequest', request))).toEqual(request)
  const svids = [{ spiffeId: 'spiffe://acme.example/a', token: 'a.b.c', hint: 'internal' }]
  expect(sameAs('JWTSVIDResponse', jwtSvidAnswer(svids))).toEqual({
    svids: [{ spiffeId: 'spiffe://acme.example/a', svid: 'a.b.c', hint: 'internal' }],
  })
  expect(readJwtSvidAnswer(jwtSvidAnswer(svids))).toEqual(svids)
  const bundles = new Map([['spiffe://acme.example', new Uint8Array(Buffer.from('{"keys":[]}'))]])
  expect(readJwtBundlesAnswer(jwtBundlesAnswer(bundles))).toEqual(bundles)
  expect(sameAs('JWTBundlesResponse', jwtBundlesAnswer(bundles))).toEqual({
    bundles: { 'spiffe://acme.example': Buffer.from('{"keys":[]}') },
  })
})

test.each([
  ['a number without end', [0x80], 'a number is cut off'],
  ['a number of eleven bytes', Array(11).fill(0x80), 'a number is too long'],
  ['a field longer than the message', [0x0a, 0x05, 0x00], 'a field is cut off'],
  ['a length near 2^64', [0x0a, ...Array(9).fill(0xff), 0x01], 'a field is cut off'],
  ['field number zero', [0x02, 0x00], 'a field has no valid number'],
  ['a group', [0x0b], 'a field is of a kind that is not used'],
  ['text that is not UTF-8', [0x0a, 0x03, 0x0a, 0x01, 0xff], 'a text is not UTF-8'],
])('%s is refused', (_, message, reason) => {
  expect(() => readX509SvidAnswer(Uint8Array.from(message))).toThrow(reason)
})

test('fields that are not known are passed over, whatever their kind', () => {
  const unknown = [0x50, 0xff, 0x01, 0x51, ...Array(8).fill(0), 0x55, ...Array(4).fill(0), 0x52, 0x01, 0x00]
  expect(readX509SvidAnswer(Uint8Array.from(unknown)).svids).toEqual([])
})

test('any bytes are either read or refused as no message', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (message) => {
      for (const read of [readX509SvidAnswer, readJwtSvidAnswer, readJwtSvidRequest, readJwtBundlesAnswer]) {
        try {
          read(message)
        } catch (error) {
          expect(error).toBeInstanceOf(ProtobufError)
        }
      }
    }),
  )
})

describe('ValidateJWTSVID', () => {
  test('the request is written and read as by protobufjs', () => {
    fc.assert(
      fc.property(fc.record({ audience: text, svid: text }), ({ audience, svid }) => {
        expect(sameAs('ValidateJWTSVIDRequest', validateJwtSvidRequest({ audience, token: svid }))).toEqual({
          audience,
          svid,
        })
        const request = readValidateJwtSvidRequest(theirs('ValidateJWTSVIDRequest', { audience, svid }))
        expect(request).toEqual({ audience, token: svid })
      }),
    )
  })

  test('claims of whatever shape come out of protobufjs as they went in', () => {
    const claims = fc.dictionary(
      text.filter((key) => key !== '__proto__'),
      fc.jsonValue({ noUnicodeString: false, maxDepth: 3 }),
      { maxKeys: 5, noNullPrototype: true },
    )
    fc.assert(
      fc.property(text, claims, (id, value) => {
        const json = JSON.parse(JSON.stringify(value))
        const written = validateJwtSvidAnswer(id, json)
        expect(readValidateJwtSvidAnswer(written)).toBe(id)
        const read = root.lookupType('ValidateJWTSVIDResponse').decode(written) as unknown as { claims: Struct }
        expect(fromStruct(read.claims)).toEqual(json)
      }),
    )
  })
})

interface Struct {
  readonly fields: Readonly<Record<string, Value>>
}

interface Value {
  readonly kind: 'nullValue' | 'numberValue' | 'stringValue' | 'boolValue' | 'structValue' | 'listValue' | undefined
  readonly numberValue: number
  readonly stringValue: string
  readonly boolValue: boolean
  readonly structValue: Struct
  readonly listValue: { readonly values: readonly Value[] }
}

function fromStruct({ fields }: Struct): object {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, fromValue(value)]))
}

function fromValue(value: Value): unknown {
  switch (value.kind) {
    case 'structValue':
      return fromStruct(value.structValue)
    case 'listValue':
      return value.listValue.values.map(fromValue)
    case 'nullValue':
      return null
    case undefined:
      return expect.unreachable('a value without a kind')
    default:
      return value[value.kind]
  }
}
