// mitmproxy, where it is installed: a proxy in Python that takes TLS off and on, as Postern does.
import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Setting, Subject } from './subject.ts'

export const mitmproxy: Subject = {
  name: 'mitmproxy',
  injects: false,
  async prepare(setting: Setting) {
    const { directory, authority, port, upstreamPort } = setting
    const addon = join(directory, 'to_upstream.py')
    const ca = join(directory, 'upstream.pem')
    await writeFile(ca, authority)
    // The name of the upstream exists in the bench only.
    await writeFile(addon, `def server_connect(data):\n    data.server.address = ("127.0.0.1", ${upstreamPort})\n`)
    const options = [`confdir=${directory}`, `ssl_verify_upstream_trusted_ca=${ca}`, 'flow_detail=0', 'http2=false']
    return {
      program: 'mitmdump',
      args: [
        '-q',
        '--listen-host',
        '127.0.0.1',
        '-p',
        String(port),
        '-s',
        addon,
        ...options.flatMap((each) => ['--set', each]),
      ],
    }
  },
}

export function mitmproxyIsInstalled(): boolean {
  try {
    execFileSync('mitmdump', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
