// Identity and trust from files that something else keeps current: spiffe-helper, cert-manager, a mounted secret.
import { open } from 'node:fs/promises'
import { readBundleFile } from './bundle/file.ts'
import { Changes } from './changes.ts'
import { FolderWatch } from './folder-watch.ts'
import { pemBlocks } from './pem.ts'
import type { SvidSource, TrustBundle, X509Svid } from './source.ts'
import { type TrustDomain, trustDomainOf } from './spiffe-id.ts'
import { takeOwnSvid } from './svid/own.ts'

export interface FileSourceOptions {
  /** Paths of the certificate chain (leaf first) and its PKCS#8 key; undefined when only callers are to be verified. */
  readonly identity: { readonly certificate: string; readonly key: string } | undefined
  /** Paths of the roots in PEM, or of SPIFFE bundle documents, by trust domain. */
  readonly bundles: ReadonlyMap<TrustDomain, string>
  /** The trust domain that the own identity must be of. */
  readonly trustDomain: TrustDomain
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Told of files that could not be used, once for each trouble. What was read before stays. */
  readonly onProblem: (problem: Error) => void
}

/** Files that only make sense together, and what becomes of them. */
interface Part {
  readonly paths: readonly string[]
  readonly take: (texts: readonly string[]) => void
  /** What was read last, good or bad, so that nothing is taken or complained of twice. */
  last: string | undefined
  problem: string | undefined
}

const maxFile = 1024 * 1024

export class FileSource implements SvidSource {
  readonly #now: () => number
  readonly #onProblem: (problem: Error) => void
  readonly #parts: readonly Part[]
  readonly #watch: FolderWatch
  readonly #changes = new Changes()
  readonly #bundles = new Map<TrustDomain, TrustBundle>()
  #svid: X509Svid | undefined
  #reading: Promise<void> = Promise.resolve()

  private constructor({ identity, bundles, trustDomain, now, onProblem }: FileSourceOptions) {
    this.#now = now
    this.#onProblem = onProblem
    const parts: Part[] = []
    if (identity !== undefined) {
      parts.push(
        part([identity.certificate, identity.key], ([chain = '', key = '']) => {
          this.#svid = readIdentity(chain, key, trustDomain)
        }),
      )
    }
    for (const [domain, path] of bundles) {
      parts.push(part([path], ([roots = '']) => this.#bundles.set(domain, readBundleFile(domain, roots))))
    }
    this.#parts = parts
    this.#watch = new FolderWatch(() => void this.reload())
  }

  /** Reads the files and goes on watching them. Files that are missing or wrong are told of, and awaited. */
  static async open(options: FileSourceOptions): Promise<FileSource> {
    const source = new FileSource(options)
    await source.reload()
    return source
  }

  svid(): X509Svid {
    if (this.#svid === undefined) throw new Error('there is no identity yet')
    if (this.#now() > this.#svid.expiresAt) throw new Error('the identity has expired')
    return this.#svid
  }

  bundle(trustDomain: TrustDomain): TrustBundle | undefined {
    return this.#bundles.get(trustDomain)
  }

  async jwt(): Promise<string> {
    throw new Error('an identity from files has no JWT-SVID')
  }

  updates(signal: AbortSignal): AsyncIterable<void> {
    return this.#changes.since(signal)
  }

  /** Looks at the files now. Looks follow one another. */
  reload(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#look())
    return this.#reading
  }

  close(): void {
    this.#watch.close()
  }

  async #look(): Promise<void> {
    // Watched before they are read, so that a change in between is noticed.
    await this.#watch.cover(this.#parts.flatMap(({ paths }) => paths))
    let changed = false
    for (const each of this.#parts) if (await this.#takeChanged(each)) changed = true
    if (changed) this.#changes.announce()
  }

  async #takeChanged(each: Part): Promise<boolean> {
    try {
      // One after the other, so that the same trouble is told of the same file each time.
      const texts: string[] = []
      for (const path of each.paths) texts.push(await readText(path))
      const content = texts.join('\0')
      if (content === each.last) return false
      each.last = content
      each.take(texts)
      each.problem = undefined
      return true
    } catch (cause) {
      const problem = `${each.paths.join(', ')}: ${cause instanceof Error ? cause.message : String(cause)}`
      if (problem !== each.problem) this.#onProblem(new Error(problem, { cause }))
      each.problem = problem
      return false
    }
  }
}

function part(paths: readonly string[], take: Part['take']): Part {
  return { paths, take, last: undefined, problem: undefined }
}

/** @throws Error also when the file is larger than any that makes sense */
async function readText(path: string): Promise<string> {
  await using file = await open(path)
  const { size } = await file.stat()
  if (size > maxFile) throw new Error(`the file is larger than ${maxFile} bytes`)
  return await file.readFile('utf8')
}

function readIdentity(certificates: string, keys: string, trustDomain: TrustDomain): X509Svid {
  const chain = blocks(certificates, 'CERTIFICATE')
  const [key] = blocks(keys, 'PRIVATE KEY')
  if (key === undefined) throw new Error('there is no private key')
  const svid = takeOwnSvid(chain, key)
  if (trustDomainOf(svid.id) !== trustDomain) throw new Error(`${svid.id} is not of the trust domain ${trustDomain}`)
  return svid
}

/** @throws Error when there is none: a file in the middle of being written must not take the place of a good one */
function blocks(text: string, label: string): readonly Uint8Array[] {
  const found = pemBlocks(text).filter((block) => block.label === label)
  if (found.length === 0) throw new Error(`there is no ${label} in PEM`)
  return found.map(({ der }) => der)
}
