// What the leaf itself must be, before any trust is asked about (X509-SVID §2, §4, §5.2).
import { parseSpiffeId, pathOf, type SpiffeId } from '../spiffe-id.ts'
import type { Certificate } from '../x509/certificate.ts'
import {
  alternativeNamesOf,
  ascii,
  basicConstraintsOf,
  extendedKeyUsageOf,
  keyUsageOf,
  nameKinds,
} from '../x509/extensions.ts'
import { oids } from '../x509/oids.ts'
import { SvidError } from './error.ts'

/** @throws SvidError or, where an extension is malformed, DerError */
export function checkLeaf(leaf: Certificate): SpiffeId {
  const id = checkIdentity(leaf)
  checkPurpose(leaf)
  return id
}

/** Exactly one URI, which is the ID of a workload. Names of other kinds may stand beside it. */
function checkIdentity(leaf: Certificate): SpiffeId {
  const { critical, names } = alternativeNamesOf(leaf)
  const [uri, ...more] = names.filter(({ tag }) => tag === nameKinds.uri)
  if (uri === undefined) throw new SvidError('svid_no_uri_san', 'the leaf has no URI among its names')
  if (more.length > 0) throw new SvidError('svid_many_uri_sans', `the leaf has ${more.length + 1} URIs`)
  let id: SpiffeId
  try {
    id = parseSpiffeId(ascii(uri))
  } catch (error) {
    throw new SvidError('svid_bad_id', error instanceof Error ? error.message : 'not a SPIFFE ID', error)
  }
  if (pathOf(id) === '') throw new SvidError('svid_no_path', 'the ID of the leaf has no path')
  // Two octets are those of an empty sequence (RFC 5280 §4.1.2.6).
  if (leaf.subject.length === 2 && !critical)
    throw new SvidError('svid_san_not_critical', 'the subject is empty and the alternative name not critical')
  return id
}

function checkPurpose(leaf: Certificate): void {
  if (basicConstraintsOf(leaf).ca) throw new SvidError('svid_is_ca', 'the leaf is an authority')
  const usage = keyUsageOf(leaf)
  if (usage === undefined) throw new SvidError('svid_key_usage', 'the leaf has no key usage')
  if (!usage.critical) throw new SvidError('svid_key_usage', 'the key usage of the leaf is not critical')
  if (!usage.digitalSignature) throw new SvidError('svid_key_usage', 'digitalSignature is missing')
  if (usage.keyCertSign) throw new SvidError('svid_key_usage', 'keyCertSign is set')
  if (usage.cRLSign) throw new SvidError('svid_key_usage', 'cRLSign is set')
  const purposes = extendedKeyUsageOf(leaf)
  if (purposes !== undefined && !(purposes.has(oids.serverAuth) && purposes.has(oids.clientAuth)))
    throw new SvidError('svid_extended_key_usage', 'serverAuth and clientAuth are not both there')
}
