// A Workload API that gives the proxy its identity and JWT-SVIDs, well or otherwise.
import { decodeJwt } from 'jose'
import { jwtBundlesAnswer, jwtSvidAnswer, readJwtSvidRequest } from '../../../certs/workload-api/proto.ts'
import { signJwt } from '../../support/jwt.ts'
import { makeAuthority, makeKey } from '../../support/pki.ts'
import { failure, type ScriptedWorkloadApi, svidMessage, x509Message } from '../../support/workload-api.ts'
import { Flapping, type Kind, type Part } from '../part.ts'

const id = 'spiffe://acme.example/postern'
/** Seconds; asked for anew after half of it. */
const life = 4
const noKeys = jwtBundlesAnswer(new Map([['spiffe://acme.example', Buffer.from('{"keys":[]}')]]))
const stranger = makeAuthority({ uri: 'spiffe://other.example' })

export class WorkloadApi implements Part {
  readonly name = 'Workload API'
  readonly #api: ScriptedWorkloadApi
  readonly #key = makeKey()
  readonly #flapping = new Flapping((well) => this.#running(well), 300)
  #state: Kind | 'well' = 'well'
  #told = 0
  #turning: Promise<void> = Promise.resolve()
  #up = true

  constructor(api: ScriptedWorkloadApi) {
    this.#api = api
    const message = x509Message([svidMessage(id)])
    api.x509 = (stream) => {
      if (this.#state === 'well') stream.write(message)
      else if (this.#state === 'lying') this.#lie(stream)
    }
    api.jwtBundles = (stream) => void stream.write(noKeys)
    api.jwtSvid = (request) => this.#jwt(request)
  }

  async begin(kind: Kind): Promise<void> {
    if (kind === 'flapping') this.#flapping.begin()
    else if (kind === 'dead') await this.#running(false)
    else {
      this.#state = kind
      // Whoever is connected hears of it at once, and asks again.
      if (kind === 'lying') this.#api.send(x509Message([svidMessage('spiffe://other.example/x', {}, stranger)]))
      this.#api.end()
    }
  }

  async end(): Promise<void> {
    this.#flapping.end()
    this.#state = 'well'
    await this.#running(true)
    // Streams that were opened while it was slow have heard nothing yet.
    this.#api.send(x509Message([svidMessage(id)]))
  }

  #running(well: boolean): Promise<void> {
    this.#turning = this.#turning.then(async () => {
      if (this.#up === well) return
      this.#up = well
      await (well ? this.#api.start() : this.#api.stop())
    })
    return this.#turning
  }

  #lie(stream: Parameters<ScriptedWorkloadApi['x509']>[0]): void {
    const number = this.#told++ % 3
    if (number === 1) stream.write(Buffer.from('neither protobuf nor anything else'))
    else if (number === 2) stream.write(x509Message([svidMessage(id, { key: Buffer.from('no key') })]))
    else stream.emit('error', failure(7, 'no identity issued'))
  }

  async #jwt(request: Uint8Array): Promise<Uint8Array> {
    const { audience } = readJwtSvidRequest(request)
    if (this.#state === 'slow') await new Promise((resolve) => setTimeout(resolve, 2_500).unref())
    const lying = this.#state === 'lying'
    if (lying && this.#told++ % 3 === 0) throw failure(7, 'no identity issued')
    const exp = Math.floor(Date.now() / 1_000) + life
    const claims = lying
      ? { sub: 'spiffe://acme.example/another', aud: ['nobody'], exp }
      : { sub: id, aud: audience, exp }
    const token = signJwt({ alg: 'ES256', kid: 'k' }, claims, this.#key.privateKey)
    return jwtSvidAnswer([{ spiffeId: id, token, hint: '' }])
  }
}

/** Whether a client assertion is one that this API could have given now. */
export function isCurrent(assertion: string | null): boolean {
  if (assertion === null) return false
  const { sub, exp = 0 } = decodeJwt(assertion)
  return sub === id && exp * 1_000 > Date.now()
}
