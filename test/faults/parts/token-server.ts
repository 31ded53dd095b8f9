// What a token server says that lies.
import { type Lie, MisbehavingServer } from './server.ts'

const json =
  (text: string, status = 200): Lie =>
  (response) =>
    void response.writeHead(status, { 'Content-Type': 'application/json' }).end(text)
const token = (more: object) => json(JSON.stringify({ access_token: 'canary-of-a-lie', token_type: 'Bearer', ...more }))

export const tokenServer = () =>
  new MisbehavingServer('token server', [
    (response) => void response.writeHead(200, { 'Content-Type': 'text/html' }).end('<h1>Welcome</h1>'),
    json('{"access_token":'),
    token({ token_type: 'mac', expires_in: 60 }),
    token({ expires_in: -1 }),
    token({ expires_in: 60, scope: 'read write everything' }),
    token({ access_token: 'two\r\nlines', expires_in: 60 }),
    json(`{"access_token":"${'x'.repeat(100_000)}","token_type":"Bearer"}`),
    json('{"error":"invalid_client"}', 401),
    (response) => void response.writeHead(302, { Location: 'https://elsewhere.a.test/' }).end(),
    (response, { socket }) => {
      response
        .writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': '500' })
        .write('{"access_token":"')
      setTimeout(() => socket.destroy(), 20)
    },
  ])
