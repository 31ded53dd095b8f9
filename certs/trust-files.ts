// Files and variables that make every runtime of an agent trust the pod's authority, besides what it trusts already.
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { certificatePem, pemBlocks } from './pem.ts'
import { hashedName } from './trust/hashed-name.ts'
import { javaPassword, javaTruststore } from './trust/java-truststore.ts'
import { systemRoots } from './trust/system-roots.ts'
import { appending, replacing } from './trust/variables.ts'
import { wgetSettings } from './trust/wget-settings.ts'

export interface TrustFilesOptions {
  /** A private folder; the files go into `trust` below it. */
  readonly directory: string
  /** The pod's authority. */
  readonly caPem: string
  /** Environment that the agent would have had: roots that it names stay trusted. */
  readonly inherited?: Readonly<Record<string, string | undefined>>
}

export interface TrustFiles {
  /**
   * What the agent's environment must say. `JAVA_TOOL_OPTIONS` holds the options for trust alone: who sets the
   * environment joins them with other options for Java.
   */
  readonly environment: Readonly<Record<string, string>>
  remove(): Promise<void>
}

/**
 * Writes `ca.pem` (our authority), `combined.pem` (ours and the system's roots), `truststore.p12` (the same, for Java),
 * `wgetrc` (which names it, for wget) and `hashed/` (ours alone, by OpenSSL's name: whoever reads that folder reads the file of SSL_CERT_FILE as well, or
 * has a variable of its own). Readable for all, since the folder above decides who comes in.
 */
export async function writeTrustFiles({ directory, caPem, inherited = {} }: TrustFilesOptions): Promise<TrustFiles> {
  const folder = join(directory, 'trust')
  const hashed = join(folder, 'hashed')
  await mkdir(folder, { mode: 0o700 })
  await mkdir(hashed, { mode: 0o700 })
  const [ours] = pemBlocks(caPem)
  if (ours === undefined) throw new Error('the authority is not in PEM')
  const roots = [ours.der, ...(await systemRoots(inherited))]
  const write = (path: string, content: string | Uint8Array): Promise<string> =>
    writePublic(join(folder, path), content)

  const ca = await write('ca.pem', caPem)
  const combined = await write('combined.pem', roots.map(certificatePem).join(''))
  const truststore = await write('truststore.p12', await javaTruststore(roots))
  const wgetrc = await write('wgetrc', await wgetSettings(inherited, combined))
  await write(join('hashed', hashedName(ours.der)), caPem)

  return {
    environment: {
      ...Object.fromEntries(replacing.map((variable) => [variable, combined])),
      // A program reads one such file: what it was to add before stands in the combined one.
      ...Object.fromEntries(appending.map((variable) => [variable, inherited[variable] === undefined ? ca : combined])),
      SSL_CERT_DIR: hashed,
      SYSTEM_WGETRC: wgetrc,
      JAVA_TOOL_OPTIONS: javaOptions(truststore),
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

/** Whatever the umask. */
async function writePublic(path: string, content: string | Uint8Array): Promise<string> {
  await writeFile(path, content, { flag: 'wx' })
  await chmod(path, 0o644)
  return path
}

/** Java splits at spaces, but for those in quotes. */
function javaOptions(truststore: string): string {
  return [
    `-Djavax.net.ssl.trustStore=${truststore}`,
    '-Djavax.net.ssl.trustStoreType=PKCS12',
    `-Djavax.net.ssl.trustStorePassword=${javaPassword}`,
  ]
    .map((option) => (/\s/.test(option) ? `"${option}"` : option))
    .join(' ')
}
