// Reviews as the API server sends them, over real TLS.
import type { IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import { text } from 'node:stream/consumers'

export interface Asked {
  readonly operation?: string
  readonly subResource?: string
  readonly object?: unknown
  readonly oldObject?: unknown
  readonly namespace?: string
}

export function review({ operation = 'CREATE', namespace = 'agents', object, oldObject = null, subResource }: Asked) {
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: '705ab4f5-6393-11e8-b7cc-42010a800002',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      ...(subResource === undefined ? {} : { subResource }),
      ...{ operation, namespace, object, oldObject },
      userInfo: { username: 'system:serviceaccount:kube-system:replicaset-controller' },
      dryRun: false,
    },
  }
}

export interface Answered {
  readonly status: number
  readonly text: string
}

export interface Door {
  readonly port: number
  /** PEM; asked for at each new connection. */
  readonly ca: () => string
  /** Keeps connections; without it each request has one of its own. */
  readonly agent?: Agent
}

const servername = 'postern-injector.postern.svc'

export async function post(door: Door, path: string, body: string, headers = {}, method = 'POST'): Promise<Answered> {
  const { port, ca, agent = new Agent({ keepAlive: false }) } = door
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const call = request({
      ...{ host: '127.0.0.1', port, path, method, servername, ca: ca(), agent },
      headers: { 'content-type': 'application/json', ...headers },
    })
    call.once('response', resolve).once('error', reject)
    call.end(body)
  })
  return { status: response.statusCode ?? 0, text: await text(response) }
}

export async function ask(door: Door, path: string, asked: Asked) {
  const { status, text: body } = await post(door, path, JSON.stringify(review(asked)))
  if (status !== 200) throw new Error(`${status}: ${body}`)
  const { response } = JSON.parse(body)
  return {
    ...response,
    patch: response.patch === undefined ? undefined : JSON.parse(Buffer.from(response.patch, 'base64').toString()),
  }
}
