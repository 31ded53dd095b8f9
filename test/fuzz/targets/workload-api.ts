// Messages of the Workload API: whoever sits at the socket writes them.
import { BundleError } from '../../../certs/bundle/error.ts'
import { PemError } from '../../../certs/pem.ts'
import { parseTrustDomain, SpiffeIdError } from '../../../certs/spiffe-id.ts'
import { SvidError } from '../../../certs/svid/error.ts'
import { readJwtBundles } from '../../../certs/workload-api/jwt-bundles.ts'
import {
  jwtBundlesAnswer,
  jwtSvidAnswer,
  readJwtBundlesAnswer,
  readJwtSvidAnswer,
  readJwtSvidRequest,
  readValidateJwtSvidAnswer,
  readValidateJwtSvidRequest,
  readX509SvidAnswer,
  validateJwtSvidAnswer,
  x509SvidAnswer,
} from '../../../certs/workload-api/proto.ts'
import { ProtobufError } from '../../../certs/workload-api/protobuf.ts'
import { readX509Context } from '../../../certs/workload-api/x509-context.ts'
import { DerError } from '../../../certs/x509/der-reader.ts'
import { publicJwk } from '../../support/jwt.ts'
import { makeAuthority, makeSvid } from '../../support/pki.ts'
import { must, mustEqual, type Target, unlessRefused } from '../target.ts'

const named = [ProtobufError, DerError, SvidError, SpiffeIdError, BundleError, PemError]
/** Also plain errors, which say in words why a message is discarded; mistakes of JavaScript are others. */
const isNamed = (error: unknown) =>
  named.some((kind) => error instanceof kind) ||
  (error instanceof Error && error.constructor === Error && !('code' in error))

const authority = makeAuthority({ uri: 'spiffe://acme.example' })
const id = 'spiffe://acme.example/agent'
const { certificate, key } = makeSvid(authority, id)
const svid = {
  spiffeId: id,
  certificates: certificate,
  key: key.privateKey.export({ type: 'pkcs8', format: 'der' }),
  bundle: authority.certificate,
  hint: 'internal',
}
const none = { revocationLists: [], federatedBundles: new Map<string, Uint8Array>() }
const keySet = Buffer.from(JSON.stringify({ keys: [publicJwk(key, 'k1', { use: 'jwt-svid' })] }))

export const target: Target = {
  name: 'workload-api',
  longest: 3_000,
  seeds: [
    x509SvidAnswer({ svids: [svid], ...none }),
    x509SvidAnswer({
      svids: [{ ...svid, key: new Uint8Array() }],
      revocationLists: [Buffer.of(1)],
      federatedBundles: new Map([['spiffe://b.example', authority.certificate]]),
    }),
    jwtBundlesAnswer(new Map([['spiffe://acme.example', keySet]])),
    jwtSvidAnswer([{ spiffeId: id, token: 'a.b.c', hint: '' }]),
    validateJwtSvidAnswer(id, { sub: id, aud: ['a'], n: 1.5, x: { y: null } }),
  ],
  dictionary: [
    ...[10, 18, 26, 34, 42, 8, 13, 9, 11].map((tag) => Buffer.of(tag, 2)),
    Buffer.alloc(10, 0xff),
    id,
    'spiffe://',
    '{"keys":[',
    '"use":"jwt-svid"',
  ],
  run(input) {
    const answer = unlessRefused(() => readX509SvidAnswer(input), isNamed)
    if (answer !== undefined) {
      const written = x509SvidAnswer(answer)
      must(written.length <= input.length, 'it grows when it is written again')
      must(
        Buffer.from(x509SvidAnswer(readX509SvidAnswer(written))).equals(written),
        'an answer that does not come back',
      )
    }
    const context = unlessRefused(() => readX509Context(input, parseTrustDomain('acme.example'), undefined), isNamed)
    must(
      context === undefined ||
        context.identities.every(({ svid: each }) => each.id.startsWith('spiffe://acme.example/')),
      'an identity of another domain',
    )
    for (const read of [
      readJwtBundlesAnswer,
      readJwtSvidRequest,
      readValidateJwtSvidRequest,
      readValidateJwtSvidAnswer,
    ])
      unlessRefused<unknown>(() => read(input), isNamed)
    unlessRefused(() => readJwtBundles(input, new Map()), isNamed)
    const tokens = unlessRefused(() => readJwtSvidAnswer(input), isNamed)
    if (tokens !== undefined)
      mustEqual(readJwtSvidAnswer(jwtSvidAnswer(tokens)), tokens, 'tokens that do not come back')
  },
}
