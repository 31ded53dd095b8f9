// A real Git server: repositories of a folder by `git http-backend` over HTTPS, for those who sign in with Basic.
import { spawn } from 'node:child_process'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type HttpsUpstream, httpsUpstream } from './upstream.ts'

/** @param signIn the value of Authorization that is asked for */
export function gitServer(name: string, folder: string, signIn: string): Promise<HttpsUpstream> {
  return httpsUpstream([name], (request, response) => {
    if (request.headers.authorization === signIn) return serve(folder, request, response)
    response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="git"' }).end()
  })
}

/** One request as CGI has it (RFC 3875). */
function serve(folder: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? '/', 'https://git.example')
  const { headers } = request
  const { PATH = '' } = process.env
  const backend = spawn('git', ['http-backend'], {
    env: {
      PATH,
      GIT_PROJECT_ROOT: folder,
      GIT_HTTP_EXPORT_ALL: '1',
      REMOTE_USER: 'agent',
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: headers['content-type'] ?? '',
      ...(headers['content-length'] && { CONTENT_LENGTH: headers['content-length'] }),
      ...(headers['content-encoding'] && { HTTP_CONTENT_ENCODING: headers['content-encoding'] }),
      ...(headers['git-protocol'] && { GIT_PROTOCOL: String(headers['git-protocol']) }),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  backend.stdin.on('error', () => {})
  request.pipe(backend.stdin)
  let head = ''
  backend.stdout.on('data', (chunk: Buffer) => {
    if (response.headersSent) return void response.write(chunk)
    head += chunk.toString('latin1')
    const end = head.indexOf('\r\n\r\n')
    if (end === -1) return
    const fields = new Map(head.slice(0, end).split('\r\n').map(field))
    const status = Number(fields.get('Status')?.slice(0, 3) ?? 200)
    fields.delete('Status')
    response.writeHead(status, Object.fromEntries(fields))
    response.write(head.slice(end + 4), 'latin1')
  })
  backend.stdout.on('end', () => response.end())
}

function field(line: string): [string, string] {
  const colon = line.indexOf(':')
  return [line.slice(0, colon), line.slice(colon + 1).trim()]
}
