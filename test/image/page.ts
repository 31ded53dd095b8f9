// The commands of docs/image.md, run as they stand there: on a copy of the checkout, with a store of images of its own.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { npmSettings } from './machine.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

export interface Commands {
  readonly code: number | null
  /** All that was said, on either stream. */
  readonly said: string
}

export class Page implements AsyncDisposable {
  readonly folder: string
  /** Where the commands run, and leave what they make. */
  readonly checkout: string
  readonly #blocks: readonly string[]

  private constructor(folder: string, blocks: readonly string[]) {
    this.folder = folder
    this.checkout = join(folder, 'checkout')
    this.#blocks = blocks
  }

  static async open(): Promise<Page> {
    const text = await readFile(join(root, 'docs/image.md'), 'utf8')
    const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block)
    const page = new Page(await mkdtemp(join(tmpdir(), 'postern-image-')), blocks)
    const { folder, checkout } = page
    await Promise.all([mkdir(join(folder, 'tmp')), mkdir(checkout)])
    const copied =
      'git ls-files -z --cached --others --exclude-standard | xargs -0 ls -d 2>/dev/null | tar -c -T - | tar -x -C "$0"'
    const { status, stderr } = spawnSync('sh', ['-c', copied, checkout], { cwd: root, encoding: 'utf8' })
    if (status !== 0) throw new Error(stderr)
    await symlink(join(root, '.git'), join(checkout, '.git'))
    const store = ['[storage]', 'driver = "overlay"', `graphroot = "${folder}/store"`, `runroot = "${folder}/run"`]
    await writeFile(join(folder, 'storage.conf'), `${store.join('\n')}\n`)
    await writeFile(join(folder, 'npmrc'), npmSettings(), { mode: 0o600 })
    return page
  }

  get commands(): number {
    return this.#blocks.length
  }

  /** Runs the blocks of code of the page from one, up to and without another, in one shell. */
  async run(from: number, to: number): Promise<Commands> {
    const { folder } = this
    // What is mounted meanwhile, and what a command that fails leaves mounted, goes with its namespace.
    const child = spawn('unshare', ['--mount', 'sh', '-euc', this.#blocks.slice(from, to).join('\n')], {
      cwd: this.checkout,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
        CONTAINERS_STORAGE_CONF: join(folder, 'storage.conf'),
        TMPDIR: join(folder, 'tmp'),
        NPMRC: join(folder, 'npmrc'),
      },
    })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        said += text
      })
    }
    const [code] = await once(child, 'close')
    return { code, said }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }
}
