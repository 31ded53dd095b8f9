// Certificates that are no X509-SVID of a trusted workload, each with the reason for which it must be refused.
import { sign } from 'node:crypto'
import type { TrustBundle } from '../../certs/source.ts'
import type { SvidFault } from '../../certs/svid/error.ts'
import { DerReader } from '../../certs/x509/der-reader.ts'
import { contextConstructed, contextPrimitive, tags } from '../../certs/x509/der-tags.ts'
import {
  bitString,
  element,
  integer,
  nullValue,
  octetString,
  oid,
  sequence,
  set,
  utf8String,
} from '../../certs/x509/der-writer.ts'
import {
  authorityConstraints,
  endEntityConstraints,
  extendedKeyUsage,
  extension,
  issueCertificate,
  keyUsage,
  name,
  subjectAltName,
  subjectKeyIdentifier,
  usage,
} from '../../certs/x509/issue.ts'
import { oids } from '../../certs/x509/oids.ts'
import {
  type Authority,
  type Bent,
  type KeyPair,
  makeAuthority,
  makeBundle,
  makeKey,
  makeSvid,
  signerOf,
} from './pki.ts'
import { makeRevocationList } from './revocation-list.ts'

export interface Hostile {
  /** Ends the sentence "refuses …". */
  readonly what: string
  readonly reason: SvidFault
  readonly chain: readonly Uint8Array[]
  readonly bundles: readonly TrustBundle[]
  /** Key of the leaf where the chain can be presented in a TLS handshake; undefined where TLS itself stops it. */
  readonly key: KeyPair | undefined
}

const hour = 3_600_000
const agent = 'spiffe://acme.example/agent'
const uri = (text: string) => subjectAltName(false, { uri: text })
const dn = (text: string) => name([oids.commonName, text])

/** `[tag] text` as it stands among names and constraints. */
export function generalName(tag: number, content: string | Uint8Array): Uint8Array {
  return element(tag, typeof content === 'string' ? Buffer.from(content, 'latin1') : content)
}

/** The extension, critical, from bases as DER of GeneralName. */
export function nameConstraints(permitted: readonly Uint8Array[], excluded: readonly Uint8Array[] = []): Uint8Array {
  const list = (number: number, bases: readonly Uint8Array[]) =>
    bases.length === 0 ? new Uint8Array() : element(contextConstructed(number), ...bases.map((base) => sequence(base)))
  return extension(oids.nameConstraints, true, sequence(list(0, permitted), list(1, excluded)))
}

export const kinds = {
  other: contextConstructed(0),
  email: contextPrimitive(1),
  dns: contextPrimitive(2),
  directory: contextConstructed(4),
  uri: contextPrimitive(6),
  ip: contextPrimitive(7),
} as const

function namesExtension(...names: readonly Uint8Array[]): Uint8Array {
  return extension(oids.subjectAltName, false, sequence(...names))
}

/** All of them; making them takes a moment, mostly for RSA keys. */
export function hostileSvids(): readonly Hostile[] {
  const root = makeAuthority({ subject: dn('acme root'), uri: 'spiffe://acme.example' })
  const otherRoot = makeAuthority({ subject: dn('other root'), uri: 'spiffe://other.example' })
  const middle = makeAuthority({ parent: root })
  const trusted = [makeBundle('acme.example', root), makeBundle('other.example', otherRoot)]
  const cases: Hostile[] = []

  function refuse(
    reason: SvidFault,
    what: string,
    { chain, key }: { readonly chain: readonly Uint8Array[]; readonly key?: KeyPair | undefined },
    bundles: readonly TrustBundle[] = trusted,
  ): void {
    cases.push({ what, reason, chain, bundles, key })
  }
  const leaf = (bent: Bent = {}, by: Authority = root, id = agent) => makeSvid(by, id, bent)
  const sound = leaf()
  const bytes = (hex: string) => ({ chain: [Buffer.from(hex, 'hex')] })

  // The chain as such
  refuse('svid_missing', 'an empty chain', { chain: [] })
  refuse('svid_unparsable', 'an empty certificate', { chain: [new Uint8Array()] })
  refuse('svid_unparsable', 'bytes that are no DER', bytes('deadbeef'))
  refuse('svid_unparsable', 'a sequence of indefinite length', bytes('3080020101000000'))
  refuse('svid_unparsable', 'a certificate cut off', { chain: [sound.certificate.subarray(0, -1)] })
  refuse('svid_unparsable', 'a certificate with a byte behind it', {
    chain: [Buffer.concat([sound.certificate, Uint8Array.of(0)])],
  })
  refuse('svid_unparsable', 'garbage behind a sound leaf', { chain: [sound.certificate, Uint8Array.of(1, 2, 3)] })
  refuse('svid_chain_too_long', 'a chain of eleven', { ...sound, chain: new Array(11).fill(sound.certificate) })
  refuse(
    'svid_unparsable',
    'a certificate of more than 16 KB',
    leaf({ extra: [extension('1.2.3', false, new Uint8Array(17_000))] }),
  )
  refuse('svid_unparsable', 'an extension that stands twice', leaf({ extra: [uri('spiffe://acme.example/admin')] }))
  refuse(
    'svid_unparsable',
    'an alternative name that is no list',
    leaf({ subjectAltName: extension(oids.subjectAltName, false, integer(1)) }),
  )
  refuse('svid_unparsable', 'basic constraints with a negative path length', {
    chain: [
      leaf({
        basicConstraints: extension(oids.basicConstraints, true, sequence(element(tags.integer, Uint8Array.of(0xff)))),
      }).certificate,
    ],
  })
  refuse('svid_unparsable', 'two signature algorithms that differ', { chain: [differingAlgorithms(root)] })
  const padding = extension('1.3.6.1.4.1.55555.1', false, new Uint8Array(16_384))
  refuse(
    'svid_unparsable',
    'an intermediate too large to look into',
    leaf({}, makeAuthority({ parent: root, extra: [padding] })),
  )

  // The identity
  refuse('svid_no_uri_san', 'no alternative name', leaf({ subjectAltName: null }))
  refuse('svid_no_uri_san', 'a SPIFFE ID in the common name alone', leaf({ subjectAltName: null, subject: dn(agent) }))
  refuse('svid_no_uri_san', 'DNS names alone', leaf({ subjectAltName: subjectAltName(false, { dns: 'a.example' }) }))
  refuse(
    'svid_no_uri_san',
    'a SPIFFE ID as a DNS name',
    leaf({ subjectAltName: subjectAltName(false, { dns: agent }) }),
  )
  refuse('svid_no_uri_san', 'the empty list of names', leaf({ subjectAltName: namesExtension() }))
  refuse('svid_no_uri_san', 'a certificate of version 1', { chain: [version1(root)] })
  refuse(
    'svid_many_uri_sans',
    'two SPIFFE IDs',
    leaf({ subjectAltName: subjectAltName(false, { uri: agent }, { uri: 'spiffe://acme.example/admin' }) }),
  )
  refuse(
    'svid_many_uri_sans',
    'a SPIFFE ID and a URL',
    leaf({ subjectAltName: subjectAltName(false, { uri: agent }, { uri: 'https://a.example/' }) }),
  )
  refuse(
    'svid_many_uri_sans',
    'a URL and a SPIFFE ID',
    leaf({ subjectAltName: subjectAltName(false, { uri: 'https://a.example/' }, { uri: agent }) }),
  )
  refuse(
    'svid_many_uri_sans',
    'the same SPIFFE ID twice',
    leaf({ subjectAltName: subjectAltName(false, { uri: agent }, { dns: 'a' }, { uri: agent }) }),
  )
  for (const [what, text] of [
    ['a URL', 'https://acme.example/agent'],
    ['an upper-case scheme', 'SPIFFE://acme.example/agent'],
    ['an upper-case trust domain', 'spiffe://ACME.example/agent'],
    ['a percent-encoded path', 'spiffe://acme.example/%61gent'],
    ['a dot segment', 'spiffe://acme.example/other/../agent'],
    ['an empty segment', 'spiffe://acme.example//agent'],
    ['a slash at the end', 'spiffe://acme.example/agent/'],
    ['a port', 'spiffe://acme.example:8443/agent'],
    ['user information', 'spiffe://admin@acme.example/agent'],
    ['a query', 'spiffe://acme.example/agent?x'],
    ['a fragment', 'spiffe://acme.example/agent#x'],
    ['a NUL', 'spiffe://acme.example/agent\0.evil'],
    ['a byte beyond ASCII', 'spiffe://acme.example/\u00e4gent'],
    ['no text', ''],
    ['more than 2048 bytes', `spiffe://acme.example/${'a'.repeat(2048)}`],
  ] as const)
    refuse('svid_bad_id', `an ID with ${what}`, leaf({ subjectAltName: uri(text) }))
  refuse('svid_no_path', 'the ID of a trust domain', leaf({ subjectAltName: uri('spiffe://acme.example') }))
  refuse('svid_san_not_critical', 'an empty subject beside a name that is not critical', leaf({ subject: sequence() }))

  // The purpose
  refuse('svid_is_ca', 'a leaf with CA:TRUE', leaf({ basicConstraints: authorityConstraints() }))
  refuse('svid_is_ca', 'an authority with the ID of a workload', {
    ...leaf({
      basicConstraints: authorityConstraints(0),
      keyUsage: keyUsage(usage.keyCertSign | usage.digitalSignature),
    }),
  })
  refuse('svid_no_path', 'an authority with the ID of its domain', { chain: [root.certificate], key: root.key })
  const usages: readonly (readonly [string, Uint8Array | null])[] = [
    ['no key usage', null],
    ['key usage that is not critical', extension(oids.keyUsage, false, bitString(Uint8Array.of(0x80), 7))],
    ['key usage without any bit', extension(oids.keyUsage, true, bitString(new Uint8Array()))],
    ['keyEncipherment alone', extension(oids.keyUsage, true, bitString(Uint8Array.of(0x20), 5))],
    ['keyAgreement alone', extension(oids.keyUsage, true, bitString(Uint8Array.of(0x08), 3))],
    ['keyCertSign', keyUsage(usage.digitalSignature | usage.keyCertSign)],
    ['cRLSign', keyUsage(usage.digitalSignature | usage.cRLSign)],
  ]
  for (const [what, value] of usages) refuse('svid_key_usage', `a leaf with ${what}`, leaf({ keyUsage: value }))
  for (const [what, ...purposes] of [
    ['serverAuth alone', oids.serverAuth],
    ['clientAuth alone', oids.clientAuth],
    ['anyExtendedKeyUsage alone', '2.5.29.37.0'],
    ['codeSigning alone', '1.3.6.1.5.5.7.3.3'],
  ] as const)
    refuse('svid_extended_key_usage', `a leaf for ${what}`, leaf({ extendedKeyUsage: extendedKeyUsage(...purposes) }))

  // The trust domain
  const stranger = makeAuthority({ uri: 'spiffe://stranger.example' })
  refuse(
    'svid_untrusted_domain',
    'a trust domain without a bundle',
    leaf({}, stranger, 'spiffe://stranger.example/agent'),
  )
  refuse('svid_no_path_to_root', 'an ID of this domain under the root of another', leaf({}, otherRoot))
  refuse('svid_no_path_to_root', 'an ID of this domain under an authority of another, root included', {
    key: sound.key,
    chain: [leaf({ key: sound.key }, makeAuthority({ parent: otherRoot })).chain, otherRoot.certificate].flat(),
  })
  refuse(
    'svid_bad_signature',
    'an ID of this domain under the root of another that took the name of ours',
    leaf({}, makeAuthority({ subject: dn('acme root'), key: otherRoot.key })),
  )
  refuse('svid_no_path_to_root', 'a bundle without roots', sound, [makeBundle('acme.example')])
  refuse('svid_no_path_to_root', 'a bundle whose only root cannot be read', sound, [
    { ...makeBundle('acme.example'), x509Authorities: [Uint8Array.of(1)] },
  ])

  // The path
  const self = makeKey()
  refuse(
    'svid_no_path_to_root',
    'a leaf that signed itself',
    leaf({ key: self, issuer: dn('self'), subject: dn('self'), signer: signerOf(self) }),
  )
  const orphan = leaf({}, middle)
  refuse('svid_no_path_to_root', 'a chain without its intermediate', { ...orphan, chain: [orphan.certificate] })
  refuse('svid_no_path_to_root', 'two authorities that signed each other', crossSigned())
  const workload = { ...sound, name: dn('test workload'), pem: '', intermediates: [sound.certificate] }
  refuse('svid_issuer_not_ca', 'a leaf that a workload signed', leaf({}, workload, 'spiffe://acme.example/admin'))
  for (const [what, bent] of [
    ['without basic constraints', { basicConstraints: null }],
    ['with CA:FALSE', { basicConstraints: endEntityConstraints() }],
    ['without keyCertSign', { keyUsage: keyUsage(usage.cRLSign) }],
    ['without key usage', { keyUsage: null }],
  ] as const) {
    refuse('svid_issuer_not_ca', `an intermediate ${what}`, leaf({}, makeAuthority({ parent: root, ...bent })))
    const bad = makeAuthority(bent)
    refuse('svid_issuer_not_ca', `a root ${what}`, leaf({}, bad), [makeBundle('acme.example', bad)])
  }
  refuse('svid_path_length', 'an intermediate under a root that allows none', underLimited(0, 1))
  refuse('svid_path_length', 'two intermediates under a root that allows one', underLimited(1, 2))

  // The time
  const past = { notBefore: Date.now() - 2 * hour, notAfter: Date.now() - hour }
  const future = { notBefore: Date.now() + hour, notAfter: Date.now() + 2 * hour }
  refuse('svid_expired', 'a leaf that has expired', leaf(past))
  refuse('svid_not_yet_valid', 'a leaf of tomorrow', leaf(future))
  refuse('svid_expired', 'an intermediate that has expired', leaf({}, makeAuthority({ parent: root, ...past })))
  refuse('svid_not_yet_valid', 'an intermediate of tomorrow', leaf({}, makeAuthority({ parent: root, ...future })))
  const expired = makeAuthority(past)
  refuse('svid_expired', 'a root that has expired', leaf({}, expired), [makeBundle('acme.example', expired)])

  // The signature
  refuse('svid_bad_signature', 'a signature with a flipped bit', { ...sound, chain: [flipped(sound.certificate)] })
  refuse('svid_bad_signature', 'an ID that was exchanged after signing', {
    ...sound,
    chain: [replaced(sound.certificate, 'acme.example/agent', 'acme.example/admin')],
  })
  refuse('svid_bad_signature', 'a signature by a stranger', leaf({ signer: signerOf(makeKey()) }))
  refuse(
    'svid_bad_signature',
    'an empty signature',
    leaf({ signer: { ...signerOf(root.key), sign: () => new Uint8Array() } }),
  )
  refuse(
    'svid_bad_signature',
    'an RSA algorithm under an ECDSA key',
    leaf({ signer: { ...signerOf(root.key), algorithm: signerOf(makeKey('rsa2048')).algorithm } }),
  )
  refuse(
    'svid_bad_signature',
    'an ECDSA algorithm with parameters',
    leaf({ signer: { ...signerOf(root.key), algorithm: sequence(oid(oids.ecdsaWithSha256), nullValue()) } }),
  )
  refuse('svid_weak_key', 'a signature over SHA-1', leaf({ hash: 'sha1' }))
  const rsaRoot = makeAuthority({ key: makeKey('rsa2048') })
  refuse('svid_weak_key', 'an RSA signature over SHA-1', leaf({ hash: 'sha1' }, rsaRoot), [
    makeBundle('acme.example', rsaRoot),
  ])
  for (const kind of ['rsa1024', 'rsa2048-e3', 'secp256k1', 'ed448', 'rsa-pss', 'p256-explicit', 'p224'] as const)
    refuse('svid_weak_key', `a leaf with a key of ${kind}`, { chain: leaf({ key: makeKey(kind) }).chain })
  for (const kind of ['rsa1024', 'rsa2048-e3', 'secp256k1', 'ed448'] as const) {
    const weak = makeAuthority({ key: makeKey(kind) })
    refuse('svid_weak_key', `a root with a key of ${kind}`, leaf({}, weak), [makeBundle('acme.example', weak)])
  }

  // Extensions that must be understood
  const unknown = extension('1.3.6.1.4.1.99999.1', true, octetString(new Uint8Array()))
  const policies = extension('2.5.29.36', true, sequence(element(contextPrimitive(0), Uint8Array.of(0))))
  refuse('svid_critical_extension', 'a leaf with a critical extension of unknown meaning', leaf({ extra: [unknown] }))
  refuse(
    'svid_critical_extension',
    'an intermediate with one',
    leaf({}, makeAuthority({ parent: root, extra: [unknown] })),
  )
  refuse(
    'svid_critical_extension',
    'an intermediate with critical policy constraints',
    leaf({}, makeAuthority({ parent: root, extra: [policies] })),
  )
  const strange = makeAuthority({ extra: [unknown] })
  refuse('svid_critical_extension', 'a root with one', leaf({}, strange), [makeBundle('acme.example', strange)])

  // Name constraints
  const constrained = (constraints: Uint8Array, bent: Bent = {}, id = agent) =>
    leaf(bent, makeAuthority({ parent: root, extra: [constraints] }), id)
  const only = (tag: number, content: string | Uint8Array) => nameConstraints([generalName(tag, content)])
  const never = (tag: number, content: string | Uint8Array) => nameConstraints([], [generalName(tag, content)])
  const besides = (tag: number, content: string | Uint8Array): Bent => ({
    subjectAltName: namesExtension(generalName(kinds.uri, agent), generalName(tag, content)),
  })
  refuse(
    'svid_name_constraints',
    'an ID of this domain under an authority for another',
    constrained(only(kinds.uri, 'other.example')),
  )
  refuse(
    'svid_name_constraints',
    'an ID of this domain under an authority for what is below it',
    constrained(only(kinds.uri, '.acme.example')),
  )
  refuse(
    'svid_name_constraints',
    'an ID of this domain under an authority for a longer name',
    constrained(only(kinds.uri, 'me.example')),
  )
  refuse(
    'svid_name_constraints',
    'an ID of this domain under an authority that excludes it',
    constrained(never(kinds.uri, 'acme.example')),
  )
  refuse(
    'svid_name_constraints',
    'an ID of this domain under an authority that excludes it in capitals',
    constrained(never(kinds.uri, 'ACME.example')),
  )
  refuse(
    'svid_name_constraints',
    'an ID of this domain under an authority that excludes every URI',
    constrained(never(kinds.uri, '')),
  )
  const addressed = makeAuthority({ extra: [only(kinds.uri, '10.0.0.1')] })
  refuse(
    'svid_name_constraints',
    'an ID with an address under an authority for that address',
    leaf({}, addressed, 'spiffe://10.0.0.1/agent'),
    [makeBundle('10.0.0.1', addressed)],
  )
  refuse(
    'svid_name_constraints',
    'a DNS name that is not permitted',
    constrained(only(kinds.dns, 'a.example'), besides(kinds.dns, 'b.example')),
  )
  refuse(
    'svid_name_constraints',
    'a DNS name that is excluded',
    constrained(never(kinds.dns, 'a.example'), besides(kinds.dns, 'x.A.example')),
  )
  refuse(
    'svid_name_constraints',
    'an address that is not permitted',
    constrained(
      only(kinds.ip, Uint8Array.of(10, 0, 0, 0, 255, 0, 0, 0)),
      besides(kinds.ip, Uint8Array.of(11, 0, 0, 1)),
    ),
  )
  refuse(
    'svid_name_constraints',
    'an IPv6 address under a constraint of IPv4',
    constrained(only(kinds.ip, Uint8Array.of(10, 0, 0, 0, 255, 0, 0, 0)), besides(kinds.ip, new Uint8Array(16))),
  )
  refuse(
    'svid_name_constraints',
    'an e-mail address at a host that is not permitted',
    constrained(only(kinds.email, 'a.example'), besides(kinds.email, 'me@b.example')),
  )
  refuse(
    'svid_name_constraints',
    'an e-mail address in the subject that is excluded',
    constrained(never(kinds.email, 'me@a.example'), { subject: name([oids.emailAddress, 'me@a.example']) }),
  )
  refuse(
    'svid_name_constraints',
    'a subject outside the permitted directory',
    constrained(only(kinds.directory, name([oids.organizationName, 'Acme']))),
  )
  refuse(
    'svid_name_constraints',
    'a subject in an excluded directory, written otherwise',
    constrained(never(kinds.directory, name([oids.organizationName, 'Evil Corp'])), {
      subject: sequence(
        set(sequence(oid(oids.organizationName), element(tags.printableString, Buffer.from('evil  CORP ')))),
      ),
    }),
  )
  const upn = Buffer.concat([oid('1.3.6.1.4.1.311.20.2.3'), element(contextConstructed(0), utf8String('me@a.example'))])
  refuse(
    'svid_name_constraints',
    'a name of a kind whose constraint cannot be evaluated',
    constrained(never(kinds.other, upn), besides(kinds.other, upn)),
  )
  const limited = makeAuthority({ extra: [only(kinds.uri, 'other.example')] })
  refuse(
    'svid_name_constraints',
    'an intermediate whose own ID the root does not permit',
    leaf({}, makeAuthority({ parent: limited, uri: 'spiffe://acme.example' }), 'spiffe://other.example/agent'),
    [makeBundle('other.example', limited)],
  )
  refuse(
    'svid_unparsable',
    'a constraint with a minimum',
    constrained(
      extension(
        oids.nameConstraints,
        true,
        sequence(
          element(
            contextConstructed(0),
            sequence(generalName(kinds.uri, 'acme.example'), generalName(contextPrimitive(0), Uint8Array.of(1))),
          ),
        ),
      ),
    ),
  )

  // Signing certificates
  for (const [what, shape] of [
    ['with the ID of a workload', { uri: 'spiffe://acme.example/authority' }],
    ['with a malformed ID', { uri: 'spiffe://ACME.example' }],
    [
      'with two IDs',
      { subjectAltName: subjectAltName(false, { uri: 'spiffe://acme.example' }, { uri: 'spiffe://b.example' }) },
    ],
  ] as const) {
    refuse('svid_signing_id', `an intermediate ${what}`, leaf({}, makeAuthority({ parent: root, ...shape })))
    const named = makeAuthority(shape)
    refuse('svid_signing_id', `a root ${what}`, leaf({}, named), [makeBundle('acme.example', named)])
  }

  // Revocation
  const revoking = (...lists: readonly Uint8Array[]) => [
    { ...makeBundle('acme.example', root), revocationLists: lists },
  ]
  const serial = Uint8Array.of(0x80, 1)
  refuse(
    'svid_revoked',
    'a leaf on the list of its issuer',
    leaf({ serial }),
    revoking(makeRevocationList(root, [serial])),
  )
  const revokedMiddle = makeAuthority({ parent: root, serial })
  refuse(
    'svid_revoked',
    'an intermediate on the list of the root',
    leaf({}, revokedMiddle),
    revoking(makeRevocationList(root, [Uint8Array.of(7), serial])),
  )
  refuse('svid_revoked', 'any leaf when a revocation list cannot be read', sound, revoking(Uint8Array.of(0x30)))
  return cases

  function underLimited(pathLength: number, depth: number): { chain: readonly Uint8Array[]; key: KeyPair } {
    const limitedRoot = makeAuthority({ pathLength, parent: root })
    let last = limitedRoot
    for (let i = 0; i < depth; i++) last = makeAuthority({ parent: last })
    return leaf({}, last)
  }

  function crossSigned(): { chain: readonly Uint8Array[]; key: KeyPair } {
    const one = makeAuthority({ subject: dn('one') })
    const two = makeAuthority({ subject: dn('two') })
    const oneByTwo = makeAuthority({ subject: dn('one'), key: one.key, parent: two })
    const twoByOne = makeAuthority({ subject: dn('two'), key: two.key, parent: one })
    const svid = leaf({}, one)
    return { ...svid, chain: [svid.certificate, oneByTwo.certificate, twoByOne.certificate] }
  }
}

function flipped(der: Uint8Array): Uint8Array {
  const copy = Buffer.from(der)
  const last = copy.length - 1
  copy[last] = (copy[last] ?? 0) ^ 1
  return copy
}

function replaced(der: Uint8Array, from: string, to: string): Uint8Array {
  const copy = Buffer.from(der)
  copy.write(to, copy.indexOf(from), 'latin1')
  return copy
}

/** The signed algorithm says SHA-384, the outer one SHA-256. */
function differingAlgorithms(root: Authority): Uint8Array {
  const { certificate } = makeSvid(root, agent, { hash: 'sha384' })
  const from = Buffer.from(oid(oids.ecdsaWithSha384))
  const copy = Buffer.from(certificate)
  const outer = copy.lastIndexOf(from)
  copy[outer + from.length - 1] = 2
  return copy
}

function version1(root: Authority): Uint8Array {
  const key = makeKey()
  const signer = signerOf(root.key)
  const given = { serial: Uint8Array.of(1), issuer: root.name, subject: dn('old'), publicKey: key.publicKey }
  const whole = issueCertificate(
    { ...given, notBefore: 0, notAfter: Date.now() + hour, extensions: [subjectKeyIdentifier(new Uint8Array(20))] },
    signer,
  )
  const fields = DerReader.only(whole, tags.sequence).sequence()
  const kept: Uint8Array[] = []
  while (!fields.done) {
    const { tag, whole: field } = fields.any()
    if (tag !== contextConstructed(0) && tag !== contextConstructed(3)) kept.push(field)
  }
  const stripped = sequence(...kept)
  return sequence(stripped, signer.algorithm, bitString(sign('sha256', stripped, root.key.privateKey)))
}
