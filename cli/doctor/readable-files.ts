// The files that an agent can read and that may hold secrets: its home, where it works, what is mounted into its container.
import { constants, type Dirent } from 'node:fs'
import { open, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Variables } from './scene.ts'

/** More files than that are not looked at, nor more of one than its beginning. */
export const mostFiles = 20_000
export const mostBytes = 262_144
const deepest = 6

/** Folders that hold what others publish, and what is looked at elsewhere. */
const passedOver = new Set([
  'node_modules',
  '.git',
  '.cache',
  '__pycache__',
  'site-packages',
  'dist-packages',
  '.venv',
  'proc',
  'sys',
  'dev',
])

/** What tools keep in a home, at whatever depth. */
const usual = [
  ...['.netrc', '.npmrc', '.pypirc', '.git-credentials', '.aws/credentials', '.docker/config.json', '.kube/config'],
  ...['.config/gh/hosts.yml', '.config/gcloud/application_default_credentials.json', '.ssh/id_rsa', '.ssh/id_ed25519'],
  ...['.ssh/id_ecdsa', '.vault-token', '.huggingface/token', '.cargo/credentials.toml', '.env'],
]

/** File systems of the machine itself, and the image: nothing that somebody put into this container. */
const ofTheSystem = /^\/(?:$|proc|sys|dev|etc\/(?:hosts|hostname|resolv\.conf)$)/

/** Where to look unless it is said. */
export async function usualPlaces(environment: Variables, cwd: string): Promise<string[]> {
  const home = environment.HOME ?? ''
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8').catch(() => ''))
    .split('\n')
    .flatMap((line) => line.split(' ')[4] ?? [])
    .map((path) =>
      path.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    )
    .filter((path) => !ofTheSystem.test(path))
  const places = [
    ...(home === '' ? [] : usual.map((name) => join(home, name))),
    // The root as a home, or as where it works, would be the whole image.
    ...[home, cwd].filter((path) => path !== '' && path !== '/'),
    ...['/run/secrets', '/var/run/secrets', '/etc/secrets', '/secrets', '/app', '/workspace', '/tmp', '/.env'],
    ...mounts,
  ]
  return [...new Set(places)]
}

export interface ReadFile {
  readonly path: string
  readonly text: string
}

/** Whether everything was looked at, as it stands at the end. */
export interface Looked {
  files: number
  bytes: number
  /** Why not all of them. */
  cut?: string
}

/** The text files below these places that can be read, each once. Links are not followed, but for those to files. */
export async function* readableFiles(
  places: readonly string[],
  looked: Looked,
  signal: AbortSignal,
): AsyncGenerator<ReadFile> {
  const seen = new Set<string>()
  for (const place of places) yield* below(place, 0, looked, seen, signal)
}

async function* below(
  path: string,
  depth: number,
  looked: Looked,
  seen: Set<string>,
  signal: AbortSignal,
): AsyncGenerator<ReadFile> {
  if (looked.cut !== undefined) return
  if (signal.aborted) {
    looked.cut = 'the time was up'
    return
  }
  const about = await stat(path).catch(() => undefined)
  if (about === undefined) return
  const id = `${about.dev}:${about.ino}`
  if (seen.has(id)) return
  seen.add(id)
  if (about.isFile()) {
    if (looked.files >= mostFiles) {
      looked.cut = `there are more than ${mostFiles}`
      return
    }
    const text = await beginningOf(path)
    if (text === undefined) return
    looked.files += 1
    looked.bytes += text.length
    yield { path, text }
    return
  }
  if (!about.isDirectory() || depth > deepest) return
  const entries = await readdir(path, { withFileTypes: true }).catch((): Dirent[] => [])
  for (const entry of entries) {
    if (passedOver.has(entry.name)) continue
    // What a link leads to is looked at where it is, but for files: Kubernetes mounts secrets so.
    if (
      entry.isSymbolicLink() &&
      (await stat(join(path, entry.name)).then(
        (of) => of.isDirectory(),
        () => true,
      ))
    )
      continue
    yield* below(join(path, entry.name), depth + 1, looked, seen, signal)
  }
}

/** As text; undefined where it cannot be read, or is no text. */
async function beginningOf(path: string): Promise<string | undefined> {
  // A named pipe that nobody writes to would keep us.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(() => undefined)
  if (file === undefined) return undefined
  try {
    const buffer = Buffer.allocUnsafe(mostBytes)
    const { bytesRead } = await file.read(buffer, 0, mostBytes, 0)
    const bytes = buffer.subarray(0, bytesRead)
    return bytes.subarray(0, 4_096).includes(0) ? undefined : bytes.toString('latin1')
  } catch {
    return undefined
  } finally {
    await file.close()
  }
}
