// The key of the pod's authority, kept in memory that outlives the process: agents that trust it go on after a restart.
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, rename, rm, statfs } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** The key that was found may not be used, or none may be left there; the message says what to do. */
export class KeptKeyError extends Error {
  override readonly name = 'KeptKeyError'
}

/** What statfs(2) calls the file systems that are in memory: tmpfs and ramfs. */
const inMemory: readonly number[] = [0x01_02_19_94, 0x85_84_58_f6]

/** Bytes; a P-256 key in PKCS#8 takes some 240. */
const longest = 4_096

/**
 * The key in a file, or a new one that is put there.
 * @param file in a folder of this user alone, made where it is missing, on a file system in memory
 * @throws KeptKeyError when others could have read or replaced it, when it is no P-256 key, or when the folder is on a disk
 */
export async function keptKey(file: string): Promise<{ readonly key: KeyObject; readonly isNew: boolean }> {
  await refuseUnfit(dirname(file))
  const found = await read(file)
  if (found !== undefined) return { key: parsed(found, file), isNew: false }
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  await write(file, privateKey.export({ type: 'pkcs8', format: 'pem' }))
  return { key: privateKey, isNew: true }
}

async function refuseUnfit(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  refuseShared(await lstat(folder), folder)
  const { type } = await statfs(folder)
  if (!inMemory.includes(type))
    throw new KeptKeyError(`${folder} is not in memory; the key of the authority is kept on a tmpfs alone`)
}

function refuseShared({ uid, mode }: Stats, path: string): void {
  if (uid !== process.getuid?.()) throw new KeptKeyError(`${path} belongs to another user (uid ${uid})`)
  if ((mode & 0o077) !== 0) throw new KeptKeyError(`${path} is open to others; run chmod go= on it`)
}

async function read(file: string): Promise<string | undefined> {
  const handle = await opened(file)
  if (handle === undefined) return undefined
  try {
    const stats = await handle.stat()
    if (!stats.isFile()) throw new KeptKeyError(`${file} is not a file`)
    refuseShared(stats, file)
    if (stats.size > longest) throw new KeptKeyError(`${file} is too long for a key`)
    return await handle.readFile('utf8')
  } finally {
    await handle.close()
  }
}

async function opened(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT') return undefined
    if (code === 'ELOOP') throw new KeptKeyError(`${file} is a symbolic link`)
    throw error
  }
}

function parsed(pem: string, file: string): KeyObject {
  const unusable = new KeptKeyError(
    `${file} holds no P-256 key; remove it, and agents need a restart to trust the next`,
  )
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch {
    throw unusable
  }
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw unusable
  return key
}

/** Whole or not at all: a process that ends in between leaves nothing that the next would have to refuse. */
async function write(file: string, pem: string | Buffer): Promise<void> {
  const draft = join(dirname(file), `.${basename(file)}.${process.pid}`)
  await rm(draft, { force: true })
  const handle = await open(draft, 'wx', 0o600)
  try {
    await handle.writeFile(pem)
  } finally {
    await handle.close()
  }
  await rename(draft, file)
}
