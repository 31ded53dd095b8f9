// Whether the environment tells every runtime to trust the authority that the proxy's certificates are of.
import { X509Certificate } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pemBlocks } from '../../certs/pem.ts'
import { appending, replacing } from '../../certs/trust/variables.ts'
import { type Check, green, red, skipped } from './check.ts'
import { notAnswered, type Variables } from './scene.ts'

const set =
  'Set what agent.env in the proxy’s trust folder says (`trust.directory`), in the agent’s container itself: an image that sets some of them wins otherwise.'

export const trustChecks: readonly Check[] = [
  {
    name: 'trust-variables',
    proves: 'each variable by which a runtime finds its roots leads to the proxy’s own authority',
    patience: 8_000,
    run: async (scene) => {
      const not = await notAnswered(scene)
      if (not !== undefined) return skipped(not)
      const { certificate } = await scene.door()
      if (certificate === undefined) return skipped('the proxy was asked in clear, so that its authority is not known')
      const { missing, astray } = await lookThrough(scene.environment, new X509Certificate(certificate))
      const parts = [
        ...(missing.length === 0 ? [] : [`not set: ${missing.join(', ')}`]),
        ...(astray.length === 0 ? [] : [`without the proxy’s authority: ${astray.join(', ')}`]),
      ]
      if (parts.length > 0) return red(`Variables ${parts.join('; ')}.`, set)
      return green(
        `All ${replacing.length + appending.length + 3} lead to the authority of the certificate that the proxy shows.`,
      )
    },
  },
]

/** Names of variables that are missing, and of those that name something without the issuer of this leaf. */
export async function lookThrough(
  environment: Variables,
  leaf: X509Certificate,
): Promise<{ readonly missing: readonly string[]; readonly astray: readonly string[] }> {
  const missing: string[] = []
  const astray: string[] = []
  /** By path; most variables name the same file. */
  const known = new Map<string, Promise<boolean>>()
  const good = (path: string) => {
    const looking = known.get(path) ?? holdsIssuer(path, leaf)
    known.set(path, looking)
    return looking
  }
  for (const name of [...replacing, ...appending, 'SSL_CERT_DIR']) {
    const value = environment[name] ?? ''
    if (value === '') missing.push(name)
    else if (!(await anyOf(value.split(':'), good))) astray.push(name)
  }
  const settings = environment.SYSTEM_WGETRC ?? ''
  if (settings === '') missing.push('SYSTEM_WGETRC')
  else if (!(await anyOf(await rootsOfWget(settings), good))) astray.push('SYSTEM_WGETRC')
  // What is in a truststore is Java's own to say; see the line runtime-java.
  const store = truststoreIn(environment.JAVA_TOOL_OPTIONS ?? '')
  if (store === undefined) missing.push('JAVA_TOOL_OPTIONS (-Djavax.net.ssl.trustStore)')
  else if (
    !(await stat(store).then(
      (found) => found.isFile(),
      () => false,
    ))
  )
    astray.push('JAVA_TOOL_OPTIONS')
  return { missing, astray }
}

/** The last one counts. Java splits at white space, but for that in quotes. */
function truststoreIn(options: string): string | undefined {
  const words = options.match(/(?:[^\s"']|"[^"]*"|'[^']*')+/g) ?? []
  const option = '-Djavax.net.ssl.trustStore='
  return words
    .map((word) => word.replaceAll(/["']/g, ''))
    .findLast((word) => word.startsWith(option))
    ?.slice(option.length)
}

/** What wget's settings name, the last of them; see certs/trust/wget-settings.ts. */
async function rootsOfWget(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return [...text.matchAll(/^\s*ca_?certificate\s*=\s*(.+?)\s*$/gim)].slice(-1).flatMap(([, file]) => file ?? [])
}

async function anyOf(paths: readonly string[], good: (path: string) => Promise<boolean>): Promise<boolean> {
  for (const path of paths) if (path !== '' && (await good(path))) return true
  return false
}

async function holdsIssuer(path: string, leaf: X509Certificate): Promise<boolean> {
  try {
    if ((await stat(path)).isDirectory()) {
      const names = await readdir(path)
      return await anyOf(
        names.map((name) => join(path, name)),
        (file) => holdsIssuer(file, leaf),
      )
    }
    return issuerIn(await readFile(path, 'utf8'), leaf)
  } catch {
    return false
  }
}

function issuerIn(pem: string, leaf: X509Certificate): boolean {
  try {
    return pemBlocks(pem).some(({ der }) => {
      const candidate = new X509Certificate(der)
      return leaf.checkIssued(candidate) && leaf.verify(candidate.publicKey)
    })
  } catch {
    // Not a file of certificates.
    return false
  }
}
