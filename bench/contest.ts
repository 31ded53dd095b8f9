// One run: upstream and load are up, subjects enter and leave.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { PodAuthority } from '../certs/pod-authority.ts'
import { freePort } from '../test/support/free-port.ts'
import { issuePair, makeAuthority, type Pair } from './certificates.ts'
import { Load } from './load/client.ts'
import type { Route } from './load/orders.ts'
import type { Cores } from './machine.ts'
import { type Running, start } from './processes.ts'
import type { Subject } from './subjects/subject.ts'

const host = 'upstream.bench.example'
const credential = 'bench-credential-4f9d2c71b8e64a0f9c35'

/** A subject that is up. */
export interface Contestant {
  readonly name: string
  readonly route: Route
  /** undefined: there is no process between load and upstream. */
  readonly running: Running | undefined
  leave(): Promise<void>
}

export class Contest {
  readonly load: Load
  readonly upstream: Running
  readonly #cores: Cores
  readonly #authority: PodAuthority
  readonly #pair: Pair
  readonly #upstreamPort: number
  readonly #directory: string

  private constructor(
    cores: Cores,
    up: { load: Load; upstream: Running; authority: PodAuthority; pair: Pair; port: number; directory: string },
  ) {
    this.#cores = cores
    this.load = up.load
    this.upstream = up.upstream
    this.#authority = up.authority
    this.#pair = up.pair
    this.#upstreamPort = up.port
    this.#directory = up.directory
  }

  static async open(cores: Cores): Promise<Contest> {
    const authority = makeAuthority()
    const pair = issuePair(authority, host)
    const port = await freePort()
    const upstream = await start({
      args: [fileURLToPath(new URL('./upstream.ts', import.meta.url))],
      env: {
        BENCH_PORT: String(port),
        BENCH_CERT: pair.cert,
        BENCH_KEY: pair.key,
        BENCH_CREDENTIAL: `Bearer ${credential}`,
      },
      core: cores.upstream,
      port,
      ipc: true,
    })
    const load = await Load.start(cores.load)
    const directory = await mkdtemp(join(tmpdir(), 'postern-bench-'))
    return new Contest(cores, { load, upstream, authority, pair, port, directory })
  }

  /** @throws when the subject does not come up, or does not do what it is here for */
  async enter(subject: Subject): Promise<Contestant> {
    const port = await freePort()
    const directory = await mkdtemp(join(this.#directory, 'subject-'))
    const setting = {
      port,
      host,
      upstreamPort: this.#upstreamPort,
      authority: this.#authority.certificatePem,
      pair: this.#pair,
      directory,
      credential,
    }
    const prepared = await subject.prepare(setting)
    const running = prepared === undefined ? undefined : await start({ ...prepared, core: this.#cores.proxy, port })
    const route = {
      host,
      upstreamPort: this.#upstreamPort,
      proxyPort: running === undefined || subject.redirected === true ? undefined : port,
      fields: (await subject.fields?.(setting)) ?? '',
    }
    const leave = async (): Promise<void> => {
      await running?.stop()
      await rm(directory, { recursive: true, force: true })
    }
    const seen = await this.load.order('check', { route })
    if (seen.credential !== subject.injects) {
      await leave()
      throw new Error(`${subject.name}: the upstream ${seen.credential ? 'saw a' : 'saw no'} credential`)
    }
    return { name: subject.name, route, running, leave }
  }

  async close(): Promise<void> {
    await this.load.stop()
    await this.upstream.stop()
    await rm(this.#directory, { recursive: true, force: true })
  }
}
