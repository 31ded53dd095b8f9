// A user signs in to an application, as her browser does it.
import { createLocalJWKSet, jwtVerify } from 'jose'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { signIn } from '../../../cli/demo/sign-in.ts'
import { type AuthorizationServer, startAuthorizationServer } from '../../support/authorization-server.ts'

const redirectUri = 'https://app.example/signed-in'
const ada = { name: 'ada', password: 'of the engine', email: 'ada@acme.example' }

let server: AuthorizationServer

beforeAll(async () => {
  server = await startAuthorizationServer({
    clients: [],
    resources: {},
    signIn: { client: 'app', redirectUri, users: { [ada.name]: ada } },
  })
})
afterAll(() => server[Symbol.asyncDispose]())

const application = () => ({ issuer: server.issuer, ca: server.ca, client: 'app', redirectUri })

it('with another password she is not let in', async () => {
  await expect(signIn({ ...ada, password: 'guessed' }, application())).rejects.toThrow('ada was not let in')
})

it('nobody else is let in by her password', async () => {
  await expect(signIn({ ...ada, name: 'eve' }, application())).rejects.toThrow('eve was not let in')
})

it('for her code the application gets an ID token, meant for it', async () => {
  const token = await signIn(ada, application())
  const { payload } = await jwtVerify(token, createLocalJWKSet(server.keys), { issuer: server.issuer, audience: 'app' })
  expect(payload).toMatchObject({ sub: 'ada', email: 'ada@acme.example', email_verified: true })
})
