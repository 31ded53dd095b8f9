// What this machine has for building images without an engine; what is missing is installed where it may be.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Program, and the package of Debian that it is in. */
const needed = [
  ['buildah', 'buildah'],
  ['mmdebstrap', 'mmdebstrap'],
  ['unshare', 'util-linux'],
  ['nsenter', 'util-linux'],
  ['setpriv', 'util-linux'],
  ['chroot', 'coreutils'],
  ['mount', 'mount'],
  ['tar', 'tar'],
] as const

const isThere = ([program]: readonly [string, string]) =>
  spawnSync('sh', ['-c', 'command -v "$0"', program], { stdio: 'ignore' }).status === 0

/** Installs what is missing. @returns why no image can be built and started here; undefined where one can */
export function whyNot(): string | undefined {
  if (process.platform !== 'linux') return 'containers are Linux only'
  if (process.getuid?.() !== 0) return 'needs root'
  const missing = needed.filter((each) => !isThere(each)).map(([, of]) => of)
  if (missing.length > 0) {
    if (!isThere(['apt-get', 'apt'])) return `${missing.join(', ')} missing, and no apt-get to install them with`
    const packages = [...new Set([...missing, 'debian-archive-keyring'])].join(' ')
    console.log(`Installing by apt-get: ${packages}`)
    const script = `apt-get -qq update && apt-get -qq install -y --no-install-recommends ${packages}`
    const { status, stderr } = spawnSync('sh', ['-c', script], {
      encoding: 'utf8',
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    })
    if (status !== 0) return `${packages} cannot be installed: ${stderr.trim().split('\n').at(-1)}`
  }
  const tried = spawnSync('unshare', ['-mpfn', 'mount', '-t', 'tmpfs', 'try', '/mnt'], { encoding: 'utf8' })
  return tried.status === 0 ? undefined : `no container can be started: ${tried.stderr.trim()}`
}

/** How npm of this machine gets its packages, as an npmrc that says it elsewhere too. */
export function npmSettings(): string {
  const { stdout } = spawnSync('npm', ['config', 'list', '--long', '--json'], { encoding: 'utf8' })
  const settings: Readonly<Record<string, unknown>> = JSON.parse(stdout)
  const own = typeof settings.userconfig === 'string' ? textOf(settings.userconfig) : ''
  const lines = ['registry', 'proxy', 'https-proxy', 'noproxy', 'strict-ssl'].flatMap((name) => {
    const value = settings[name]
    return value === null || value === undefined || value === '' ? [] : [`${name}=${String(value)}`]
  })
  // A path of this machine means nothing in the base; what it names can be said itself.
  const file = typeof settings.cafile === 'string' ? settings.cafile : process.env.NODE_EXTRA_CA_CERTS
  const roots = file === undefined ? [] : (textOf(file).match(/-----BEGIN C[\s\S]*?-----END CERTIFICATE-----/g) ?? [])
  const rest = own.split('\n').filter((line) => !/^\s*(cafile|prefix|cache|userconfig|globalconfig)\s*=/.test(line))
  return [...rest, ...lines, ...roots.map((root) => `ca[]=${JSON.stringify(root)}`), ''].join('\n')
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
