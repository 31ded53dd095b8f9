// http-proxy in its natural use: an HTTPS server, `proxy.web` to the upstream over a keep-alive agent.
import { Agent, createServer } from 'node:https'
import httpProxy from 'http-proxy'
import { acceptConnects, pair, upstream } from './lean.ts'

const { host, port, servername, ca } = upstream
const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, ca, servername })
const proxy = httpProxy.createProxyServer({ target: `https://${host}:${port}`, agent, secure: true })
proxy.on('error', (_error, _request, answer) => answer.destroy())

const server = createServer({ ...pair, keepAliveTimeout: 0, requestTimeout: 0 }, (request, answer) =>
  proxy.web(request, answer),
)
acceptConnects((socket) => server.emit('connection', socket))
