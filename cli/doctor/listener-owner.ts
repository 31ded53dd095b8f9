// Whose a listening port is, by the table that everybody in the network namespace can read (proc_pid_net(5)).
import { readFile } from 'node:fs/promises'

/** State of a socket that listens (linux/tcp_states.h). */
const listening = '0A'

/** The user of the first of these ports that anybody listens on; undefined where nobody does, or it cannot be told. */
export async function listenerOwner(ports: readonly number[]): Promise<number | undefined> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'latin1').catch(() => '')),
  )
  const owners = tables.flatMap(listenersIn)
  return ports.flatMap((port) => owners.find((each) => each.port === port) ?? [])[0]?.uid
}

/** @param table the whole text of /proc/net/tcp or tcp6 */
export function listenersIn(table: string): { readonly port: number; readonly uid: number }[] {
  // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid …
  const row = /^ *\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) \S+ \S+ \S+ +(\d+) /gm
  return [...table.matchAll(row)].flatMap(([, port = '', state, uid]) =>
    state === listening ? [{ port: Number.parseInt(port, 16), uid: Number(uid) }] : [],
  )
}
