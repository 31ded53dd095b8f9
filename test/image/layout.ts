// Reads images out of an OCI layout (image-spec 1.1, image-layout.md), as a registry would hold them.
import { spawnSync } from 'node:child_process'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

interface Descriptor {
  readonly digest: string
  readonly size: number
  readonly annotations?: Readonly<Record<string, string>>
}

export interface Image {
  readonly architecture: string
  readonly config: {
    readonly User?: string
    readonly Env?: readonly string[]
    readonly Entrypoint?: readonly string[]
    readonly Cmd?: readonly string[]
    readonly Labels?: Readonly<Record<string, string>>
    readonly StopSignal?: string
    readonly Volumes?: Readonly<Record<string, object>>
  }
  readonly history: readonly { readonly created_by?: string }[]
  readonly layers: readonly Descriptor[]
  /** Of all layers as they are sent, and as they are unpacked; bytes. */
  readonly sent: number
  readonly unpacked: number
  /** Where its files are. */
  readonly root: string
  /** Whether a file has a capability of its own (capabilities(7), kept in an extended attribute). */
  readonly fileCapabilities: boolean
}

/** @param into an empty folder, or none yet */
export async function unpack(layout: string, name: string, into: string): Promise<Image> {
  const blob = (digest: string) => readFile(join(layout, 'blobs', digest.replace(':', '/')))
  const json = async (digest: string) => JSON.parse((await blob(digest)).toString())
  const index: { manifests: readonly Descriptor[] } = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8'))
  const entry = index.manifests.find((each) => each.annotations?.['org.opencontainers.image.ref.name'] === name)
  if (entry === undefined) throw new Error(`no image ${name}`)
  const manifest: { config: Descriptor; layers: readonly Descriptor[] } = await json(entry.digest)
  await mkdir(into, { recursive: true })
  let unpacked = 0
  let fileCapabilities = false
  for (const { digest } of manifest.layers) {
    const tar = gunzipSync(await blob(digest))
    unpacked += tar.length
    fileCapabilities ||= tar.includes('SCHILY.xattr.security.capability')
    const { status, stderr } = spawnSync('tar', ['-xp', '--numeric-owner', '-C', into], { input: tar })
    if (status !== 0) throw new Error(stderr.toString())
  }
  const sent = manifest.layers.reduce((sum, { size }) => sum + size, 0)
  return {
    ...(await json(manifest.config.digest)),
    layers: manifest.layers,
    sent,
    unpacked,
    root: into,
    fileCapabilities,
  }
}
