// What the proxy tells on the port of its metrics, to anybody in the pod.
import { request } from 'node:http'
import { text } from 'node:stream/consumers'

export interface Told {
  readonly status: number
  readonly body: string
}

/** Undefined where nobody answers. */
export function health(
  { host, port }: { readonly host: string; readonly port: number },
  path: string,
  signal: AbortSignal,
): Promise<Told | undefined> {
  return new Promise((resolve) => {
    const asking = request({ host, port, path, signal, agent: false }, (answer) => {
      text(answer).then(
        (body) => resolve({ status: answer.statusCode ?? 0, body }),
        () => resolve(undefined),
      )
    })
    asking.once('error', () => resolve(undefined))
    asking.end()
  })
}
