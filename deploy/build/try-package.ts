// npm run test:package: packs what would be published, installs it into an empty folder, and uses it there.
import { strict as assert } from 'node:assert'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

interface Ran {
  readonly code: number
  readonly output: string
}

function run(file: string, args: readonly string[], cwd: string): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(file, args, { cwd, encoding: 'utf8' }, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode ?? 1, output: stdout + stderr })
    })
  })
}

async function done(file: string, args: readonly string[], cwd: string): Promise<string> {
  const { code, output } = await run(file, args, cwd)
  assert.equal(code, 0, `${file} ${args.join(' ')}\n${output}`)
  return output
}

const agent = 'spiffe://example.org/agent'
const configuration = `version: 1
trustDomain: example.org
records: { to: ./records.jsonl }
destinations: { api: { hosts: [api.example] } }
rules: [{ name: reads, allow: { agents: [${agent}], to: api, methods: [GET] } }]
`
/** Asks for what no rule allows, by the proxy alone, and prints what it was told. */
const program = `
const { request } = require('node:http')
const proxy = new URL(process.env.http_proxy)
const authorization = 'Basic ' + Buffer.from(proxy.username + ':' + proxy.password).toString('base64')
request({ host: proxy.hostname, port: proxy.port, path: 'http://elsewhere.example/', headers: { host: 'elsewhere.example', 'proxy-authorization': authorization } },
  (answer) => answer.pipe(process.stdout)).end()`

const folder = await mkdtemp(join(tmpdir(), 'postern-package-'))
try {
  const packed: unknown = JSON.parse(
    await done('npm', ['pack', '--json', '--ignore-scripts', '--silent', '--pack-destination', folder], root),
  )
  const [entry] = Array.isArray(packed) ? packed : Object.values(packed as Record<string, unknown>)
  const { filename, size } = entry as { filename: string; size: number }
  const empty = join(folder, 'empty')
  await mkdir(empty)
  await writeFile(join(empty, 'package.json'), '{ "private": true }')
  await done('npm', ['install', '--no-audit', '--no-fund', '--silent', join(folder, filename)], empty)
  const postern = join(empty, 'node_modules', '.bin', 'postern')

  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  assert.equal((await done(postern, ['--version'], empty)).trim(), version)

  await writeFile(join(empty, 'postern.yaml'), configuration)
  assert.match(await done(postern, ['check', 'postern.yaml'], empty), /reads/)

  await writeFile(join(empty, 'agent.cjs'), program)
  const told = await done(postern, ['exec', '--', process.execPath, 'agent.cjs'], empty)
  assert.match(told, /"reason":"no_rule"/)
  assert.match(await done(postern, ['logs', 'records.jsonl'], empty), /no_rule/)

  const demo = await run(postern, ['demo'], empty)
  assert.equal(demo.code, 69, demo.output)
  assert.match(demo.output, /npm run demo/)

  console.log(
    `${filename}, ${Math.round(size / 1024)} KiB: installed into an empty folder; version, check, exec, logs and demo answer as they should.`,
  )
} finally {
  await rm(folder, { recursive: true, force: true })
}
