// The roots that programs on this system trust already, from the files in which systems keep them.
import { readFile } from 'node:fs/promises'
import { rootCertificates } from 'node:tls'
import { PemError, pemBlocks } from '../pem.ts'
import { appending, replacing } from './variables.ts'

/** The first that is there counts, as in Go's crypto/x509. */
const usualPlaces = [
  '/etc/ssl/certs/ca-certificates.crt', // Debian, Ubuntu, Alpine, Arch
  '/etc/pki/tls/certs/ca-bundle.crt', // Fedora, RHEL
  '/etc/ssl/ca-bundle.pem', // SUSE
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem', // RHEL 7 and later
  '/etc/ssl/cert.pem', // Alpine, macOS, BSD
]

/**
 * @param inherited environment that the agent would have had: roots that it names stay trusted
 * @returns DER of each root, once; those that Node brings along where the system has none
 */
export async function systemRoots(inherited: Readonly<Record<string, string | undefined>>): Promise<Uint8Array[]> {
  const texts = await Promise.all([...namedIn(inherited)].map(textOf))
  const system = await firstOf(usualPlaces)
  const roots = new Map<string, Uint8Array>()
  for (const der of [...texts, system].flatMap(certificatesIn)) roots.set(Buffer.from(der).toString('latin1'), der)
  return [...roots.values()]
}

function namedIn(environment: Readonly<Record<string, string | undefined>>): Set<string> {
  const paths = [...replacing, ...appending].map((variable) => environment[variable])
  return new Set(paths.filter((path) => path !== undefined))
}

async function firstOf(paths: readonly string[]): Promise<string> {
  for (const path of paths) {
    const text = await textOf(path)
    if (certificatesIn(text).length > 0) return text
  }
  return rootCertificates.join('\n')
}

/** A file that is missing or damaged would have given the agent no roots either. */
async function textOf(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => '')
}

function certificatesIn(text: string): readonly Uint8Array[] {
  try {
    return pemBlocks(text)
      .filter(({ label }) => label === 'CERTIFICATE')
      .map(({ der }) => der)
  } catch (error) {
    if (error instanceof PemError) return []
    throw error
  }
}
