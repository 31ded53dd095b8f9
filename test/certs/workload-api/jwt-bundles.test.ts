// Messages with JWT bundles: what is no bundle is refused in words of its own.
import { expect, test } from 'vitest'
import { parseTrustDomain } from '../../../certs/spiffe-id.ts'
import { readJwtBundles } from '../../../certs/workload-api/jwt-bundles.ts'
import { jwtBundlesAnswer } from '../../../certs/workload-api/proto.ts'
import { ProtobufError } from '../../../certs/workload-api/protobuf.ts'
import { publicJwk } from '../../support/jwt.ts'
import { makeKey } from '../../support/pki.ts'

const acme = parseTrustDomain('acme.example')
const key = publicJwk(makeKey('p256'), 'k1', { use: 'jwt-svid' })
const read = (document: Uint8Array) =>
  readJwtBundles(jwtBundlesAnswer(new Map([['spiffe://acme.example', document]])), new Map())

test('keys of a trust domain are read', () => {
  expect(read(Buffer.from(JSON.stringify({ keys: [key] }))).get(acme)).toEqual([key])
})

// Found by fuzzing: Node's own TypeError came out, which names no cause that an operator could look for.
test('a document that is not UTF-8 is refused as such', () => {
  expect(() => read(Buffer.from([0x7b, 0xff, 0x7d]))).toThrow(new ProtobufError('a text is not UTF-8'))
})
