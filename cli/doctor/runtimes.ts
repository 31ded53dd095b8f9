// Whether each runtime that is found on PATH trusts the proxy: by a handshake of its own, with the environment as it is.
import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { type Check, type Finding, green, red, skipped } from './check.ts'
import { notAnswered, type Scene, type Variables } from './scene.ts'

interface Runtime {
  readonly name: string
  /** The first of them that is on PATH. */
  readonly programs: readonly string[]
  /** Milliseconds. */
  readonly patience: number
  /** What to run, given the program, the URL and a folder of its own. */
  readonly command: (program: string, url: URL, folder: string) => Promise<readonly string[]> | readonly string[]
  readonly environment?: (folder: string) => Readonly<Record<string, string>>
  /** Says that the runtime itself has not what it takes. */
  readonly lacking?: RegExp
  /** The variable that leads it to its roots. */
  readonly variable: string
}

/** What any HTTP answer comes down to; a refusal is one too, since it comes after the handshake. */
const answered = /^answered \d{3}$/m

const python = (of: string) =>
  of === 'urllib'
    ? `import sys, urllib.request, urllib.error
try: status = urllib.request.urlopen(sys.argv[1], timeout=12).status
except urllib.error.HTTPError as error: status = error.code
print("answered", status)`
    : `import sys, requests
print("answered", requests.get(sys.argv[1], timeout=12).status_code)`

const javaSource = `import java.net.*;
class Handshake {
  public static void main(String[] arguments) throws Exception {
    HttpURLConnection connection = (HttpURLConnection) URI.create(arguments[0]).toURL().openConnection();
    connection.setConnectTimeout(12000);
    connection.setReadTimeout(12000);
    System.out.println("answered " + connection.getResponseCode());
  }
}
`

const nodeScript = `const { get } = require('https')
get(process.argv[1], (answer) => { console.log('answered', answer.statusCode); process.exit() }).on('error', (error) => { console.error(error.code, error.message); process.exit(1) })`

const runtimes: readonly Runtime[] = [
  {
    name: 'curl',
    programs: ['curl'],
    patience: 14_000,
    command: (curl, { href }) => [
      curl,
      '-sS',
      '-o',
      '/dev/null',
      '-w',
      'answered %{http_code}\\n',
      '--max-time',
      '12',
      href,
    ],
    variable: 'CURL_CA_BUNDLE',
  },
  {
    name: 'wget',
    programs: ['wget'],
    patience: 14_000,
    // Prints the status line of the answer itself.
    command: (wget, { href }) => [wget, '-S', '-O', '/dev/null', '-T', '12', '-t', '1', href],
    variable: 'SSL_CERT_FILE, or SYSTEM_WGETRC where wget is built with GnuTLS',
  },
  {
    name: 'git',
    programs: ['git'],
    patience: 14_000,
    command: (git, { origin }) => [git, 'ls-remote', `${origin}/postern-doctor`],
    environment: () => ({ GIT_TERMINAL_PROMPT: '0', GIT_ASKPASS: '', LC_ALL: 'C' }),
    variable: 'GIT_SSL_CAINFO',
  },
  {
    name: 'python',
    programs: ['python3', 'python'],
    patience: 14_000,
    command: (program, { href }) => [program, '-c', python('urllib'), href],
    variable: 'SSL_CERT_FILE',
  },
  {
    name: 'python-requests',
    programs: ['python3', 'python'],
    patience: 14_000,
    command: (program, { href }) => [program, '-c', python('requests'), href],
    lacking: /No module named '?requests/,
    variable: 'REQUESTS_CA_BUNDLE',
  },
  {
    name: 'node',
    programs: ['node', 'nodejs'],
    patience: 14_000,
    command: (node, { href }) => [node, '-e', nodeScript, href],
    variable: 'NODE_EXTRA_CA_CERTS',
  },
  {
    name: 'go',
    programs: ['go'],
    patience: 18_000,
    // The tool is a program in Go like others, and asks a proxy for modules with Go's own client and trust: nothing need be compiled.
    command: (go) => [go, 'mod', 'download', '-json', 'postern-doctor.invalid/handshake@v1.0.0'],
    environment: (folder) => ({
      ...{ GOPATH: folder, GOMODCACHE: join(folder, 'mod'), GOCACHE: join(folder, 'cache'), HOME: folder },
      ...{ GOFLAGS: '', GONOSUMDB: '*', GONOSUMCHECK: '1', GOTOOLCHAIN: 'local', GOENV: 'off', GOPRIVATE: '' },
    }),
    variable: 'SSL_CERT_FILE',
  },
  {
    name: 'java',
    programs: ['java'],
    patience: 20_000,
    command: async (java, { href }, folder) => {
      const file = join(folder, 'Handshake.java')
      await writeFile(file, javaSource)
      return [java, '-Xshare:auto', '-XX:TieredStopAtLevel=1', file, href]
    },
    lacking: /jdk\.compiler|Could not find or load main class|unsupported/i,
    variable: 'JAVA_TOOL_OPTIONS (-Djavax.net.ssl.trustStore)',
  },
]

export const runtimeChecks: readonly Check[] = runtimes.map((runtime) => ({
  name: `runtime-${runtime.name}`,
  proves: `${runtime.name}, where it is on PATH, accepts the proxy’s certificates`,
  patience: runtime.patience + 1_000,
  run: async (scene: Scene, signal: AbortSignal) => {
    const program = await onPath(runtime.programs, scene.environment.PATH ?? '')
    if (program === undefined) return skipped(`${runtime.programs[0]} is not on PATH`)
    const not = await notAnswered(scene)
    return not === undefined ? handshake(runtime, program, scene, signal) : skipped(not)
  },
}))

async function handshake(runtime: Runtime, program: string, scene: Scene, signal: AbortSignal): Promise<Finding> {
  const url = placeFor(scene.url)
  const folder = await mkdtemp(join(tmpdir(), 'postern-doctor-'))
  try {
    const environment = {
      ...scene.environment,
      ...(runtime.name === 'go' ? { GOPROXY: url.origin } : {}),
      ...runtime.environment?.(folder),
    }
    const { code, out } = await run(
      await runtime.command(program, url, folder),
      environment,
      folder,
      runtime.patience,
      signal,
    )
    return judgeHandshake(runtime, program, url.host, code, out)
  } catch (error) {
    return skipped(`${program} could not be started: ${error instanceof Error ? error.message : String(error)}`)
  } finally {
    // What it started may be writing still; what is left then is for whoever cleans the folder of such things.
    await rm(folder, { recursive: true, force: true, maxRetries: 3 }).catch(() => {})
  }
}

/** A path of its own at the host of the call: what is asked for does not matter, since a refusal comes after the handshake. */
function placeFor(url: URL | undefined): URL {
  return url?.protocol === 'https:' ? new URL('/postern-doctor', url) : new URL('https://postern.internal/v1/reasons')
}

/** Text by which clients say that a certificate was not to their liking. */
const untrusted =
  /certificate verif|cert(?:ificate)? (?:signed by unknown|is not trusted)|unable to get (?:local )?issuer|self[- ]signed|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|SELF_SIGNED|PKIX path|unable to find valid certification path|x509:|SSL certificate problem|CERTIFICATE_VERIFY_FAILED|certificate of .* not trusted|trustAnchors|CAfile|error setting certificate|Unable to locally verify|server certificate verification failed|cannot verify .* certificate/i

/** wget's status line, git's word on an answer, and Go's. */
const answers = [
  answered,
  /^ *HTTP\/1\.[01] \d{3}/m,
  /returned error: \d{3}|repository .* not found|could not read Username/i,
  /: \d{3} [A-Z][A-Za-z ]+/,
]

/** @param out all that it printed, on both channels */
export function judgeHandshake(
  { name, variable, lacking }: Pick<Runtime, 'name' | 'variable' | 'lacking'>,
  program: string,
  host: string,
  code: number | null,
  out: string,
): Finding {
  if (untrusted.test(out)) {
    return red(
      `${program} does not accept the certificate for ${host}: ${lastLine(out)}`,
      `Let ${variable} lead to the files in the proxy’s trust folder.`,
    )
  }
  if (code === 0 || answers.some((pattern) => pattern.test(out)))
    return green(`${program} accepts the certificate for ${host}.`)
  if (lacking?.test(out) === true) return skipped(`${name} is not whole here: ${lastLine(out)}`)
  const how = code === null ? 'gave no answer in time' : `ended with ${code}`
  return red(
    `${program} ${how}, and did not come to a certificate: ${lastLine(out)}`,
    'See whether it finds the host and the proxy: the lines proxy and escape-dns, and in explicit mode the proxy variables that it reads.',
  )
}

/** Of what somebody else's program printed, and short; a URL of a proxy may hold what proves this run. */
function lastLine(out: string): string {
  const lines = out
    .split('\n')
    .flatMap((line) => (line.trim() === '' || line.includes('Picked up') ? [] : [line.trim()]))
  const telling = lines.find((line) => untrusted.test(line)) ?? lines.at(-1) ?? 'it says nothing'
  return telling
    .replaceAll(/[^\x20-\x7e]/g, '?')
    .replaceAll(/\/\/[^/@\s]*@/g, '//…@')
    .slice(0, 160)
}

async function onPath(programs: readonly string[], path: string): Promise<string | undefined> {
  for (const program of programs) {
    for (const folder of path.split(delimiter)) {
      if (folder === '') continue
      const file = join(folder, program)
      if (
        await access(file, constants.X_OK).then(
          () => true,
          () => false,
        )
      )
        return file
    }
  }
  return undefined
}

function run(
  [file = '', ...argv]: readonly string[],
  environment: Variables,
  folder: string,
  patience: number,
  signal: AbortSignal,
): Promise<{ readonly code: number | null; readonly out: string }> {
  return new Promise((resolve, reject) => {
    const stop = AbortSignal.any([signal, AbortSignal.timeout(patience)])
    // A group of its own, so that what it starts ends with it.
    const child = spawn(file, argv, {
      env: environment,
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    let out = ''
    const take = (text: Buffer) => {
      if (out.length < 65_536) out += text.toString('utf8')
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    const kill = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
      } catch {
        // It has ended by itself.
      }
    }
    stop.addEventListener('abort', kill, { once: true })
    child.once('error', reject)
    child.once('close', (code) => {
      stop.removeEventListener('abort', kill)
      resolve({ code, out })
    })
  })
}
