// What an upstream answers that lies.
import { type Lie, MisbehavingServer } from './server.ts'

const raw =
  (bytes: string): Lie =>
  (_, { socket }) => {
    socket.end(bytes, 'latin1')
    setTimeout(() => socket.destroy(), 20)
  }

export const upstream = () =>
  new MisbehavingServer('upstream', [
    raw('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!'),
    raw('SSH-2.0-OpenSSH_9.9\r\n'),
    raw('HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nnot all of it'),
    raw(`HTTP/1.1 200 OK\r\nX-Large: ${'x'.repeat(100_000)}\r\n\r\n`),
    raw('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n'),
    (response) => void response.writeHead(200, { 'Content-Encoding': 'gzip' }).end('this was never compressed'),
    (response) => void response.writeHead(401).end('who are you?'),
    (response) => void response.writeHead(302, { Location: 'http://169.254.169.254/' }).end(),
  ])
