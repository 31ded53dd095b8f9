// What the proxy and an upstream prove to one another, where a destination asks for more than a web server's certificate.
import { certificatePem } from '../../certs/pem.ts'
import type { SvidSource, TrustBundle, X509Svid } from '../../certs/source.ts'
import { type SpiffeId, trustDomainOf } from '../../certs/spiffe-id.ts'
import { SvidError } from '../../certs/svid/error.ts'
import { SvidValidator } from '../../certs/svid/validator.ts'
import type { Destination } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import { CertificateFile, type CertificateReaders, type ClientCertificate, unavailable } from './certificate-file.ts'

/**
 * What connections are made with. Asked for with each request; a connection is used as long as it stays the same object,
 * so that neither a replaced certificate nor a withdrawn root lives on in one that was kept.
 */
export interface Mutual {
  /** What to show to a server that asks. */
  readonly certificate: ClientCertificate | undefined
  /** Judges what the server presented (DER, leaf first), in place of the usual verification; throws Refusal. */
  readonly checkPeer: ((chain: readonly Uint8Array[]) => void) | undefined
}

/** @throws Refusal `client_certificate_unavailable`; undefined where a destination asks for nothing of it */
export type MutualFor = (destination: Destination) => Mutual | undefined | Promise<Mutual | undefined>

export interface MutualOptions {
  /** The identity of the proxy and the trust in others, asked anew each time. */
  readonly svids: SvidSource | undefined
  readonly readers: CertificateReaders
}

/** What the last connections to a destination were made with. */
interface Kept extends Mutual {
  readonly bundle: TrustBundle | undefined
}

export function mutualTls({ svids, readers }: MutualOptions): MutualFor {
  const validator = new SvidValidator({ bundleFor: (domain) => svids?.bundle(domain), now: readers.now })
  const files = new WeakMap<Destination, CertificateFile>()
  const kept = new WeakMap<Destination, Kept>()

  function certificateFor(destination: Destination): ClientCertificate | Promise<ClientCertificate> | undefined {
    const wanted = destination.clientCertificate
    if (wanted === undefined) return undefined
    if (wanted === 'svid') return inPem(held(svids))
    let file = files.get(destination)
    if (file === undefined) {
      file = new CertificateFile(wanted, readers)
      files.set(destination, file)
    }
    return file.current()
  }

  function withCertificate(destination: Destination, certificate: ClientCertificate | undefined): Mutual {
    const id = destination.spiffeId
    const bundle = id === undefined ? undefined : svids?.bundle(trustDomainOf(id))
    const before = kept.get(destination)
    if (before !== undefined && before.certificate === certificate && before.bundle === bundle) return before
    const now: Kept = { certificate, bundle, checkPeer: id === undefined ? undefined : peerCheck(id, validator) }
    kept.set(destination, now)
    return now
  }

  return (destination) => {
    if (destination.clientCertificate === undefined && destination.spiffeId === undefined) return undefined
    const certificate = certificateFor(destination)
    return certificate instanceof Promise
      ? certificate.then((read) => withCertificate(destination, read))
      : withCertificate(destination, certificate)
  }
}

/** Exactly this workload: its name is in its ID, so that of the host says nothing (SPIFFE X509-SVID §5). */
function peerCheck(id: SpiffeId, validator: SvidValidator): (chain: readonly Uint8Array[]) => void {
  return (chain) => {
    const presented = validPeer(chain, validator)
    if (presented !== id)
      throw new Refusal('upstream_wrong_identity', { detail: `the host is ${presented}, and was to be ${id}` })
  }
}

function validPeer(chain: readonly Uint8Array[], validator: SvidValidator): SpiffeId {
  try {
    return validator.validate(chain).id
  } catch (error) {
    if (error instanceof SvidError) throw new Refusal('upstream_svid_invalid', { detail: error.message, cause: error })
    throw error
  }
}

function held(svids: SvidSource | undefined): X509Svid {
  if (svids === undefined) throw unavailable('the proxy has no identity')
  try {
    return svids.svid()
  } catch (error) {
    throw unavailable(error instanceof Error ? error.message : String(error), error)
  }
}

/** A source gives the same object until it has another SVID. */
const written = new WeakMap<X509Svid, ClientCertificate>()

function inPem(svid: X509Svid): ClientCertificate {
  let certificate = written.get(svid)
  if (certificate === undefined) {
    const key = svid.key.export({ type: 'pkcs8', format: 'pem' }).toString()
    certificate = { chain: svid.chain.map(certificatePem).join(''), key, expiresAt: svid.expiresAt }
    written.set(svid, certificate)
  }
  return certificate
}
