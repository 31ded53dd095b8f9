// Connections of an agent through the proxy to a host behind it.
import { WireClient } from './wire-client.ts'

/** Where a proxy listens, and the authority that it makes leaves with. */
export interface Way {
  readonly port: number
  readonly ca: string
}

/** CONNECT, and TLS inside; the requests that follow are the upstream's. */
export async function through({ port, ca }: Way, host: string, upstreamPort: number): Promise<WireClient> {
  const client = await WireClient.open({ host: '127.0.0.1', port })
  try {
    const answer = await client.tunnel(`${host}:${upstreamPort}`)
    if (answer.status !== 200) throw new Error(`CONNECT was answered ${answer.status}: ${answer.text}`)
    await client.secure({ ca, servername: host })
    return client
  } catch (error) {
    await client[Symbol.asyncDispose]()
    throw error
  }
}

/** The reason in a refusal as the agent gets it. */
export function reasonOf({ text }: { readonly text: string }): string {
  const { reason } = JSON.parse(text)
  return reason
}
