// Descent is proved once and holds for a life; a pid alone proves nothing.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, fstatSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { kernelFacts } from '../../../../proxy/identify/kernel/facts.ts'
import { readStat } from '../../../../proxy/identify/kernel/process-stat.ts'
import { ProcessTree } from '../../../../proxy/identify/kernel/process-tree.ts'
import { callersEnds } from '../../../../proxy/identify/kernel/tcp-ends.ts'
import { CALLER, connectionOf, endProgram, type Gate, openGate, startProgram } from './gate.ts'

const facts = kernelFacts()
const canChoosePid = (() => {
  try {
    accessSync('/proc/sys/kernel/ns_last_pid', constants.W_OK)
    return true
  } catch {
    return false
  }
})()

let gate: Gate
const children: ChildProcess[] = []
beforeEach(async () => {
  gate = await openGate()
})
afterEach(async () => {
  await gate.close()
  for (const child of children.splice(0)) await endProgram(child)
})

function keep<T extends ChildProcess>(child: T): T {
  children.push(child)
  return child
}

async function arrivingInode(): Promise<number> {
  const ends = callersEnds(connectionOf(await gate.next()))
  return (ends && facts.socketOwner(ends)?.inode) ?? 0
}

describe.skipIf(facts.limit !== undefined)(`ProcessTree${facts.limit ? ` (skipped: ${facts.limit})` : ''}`, () => {
  test('of a command that is gone is empty', async () => {
    const child = spawn('true')
    await once(child, 'exit')
    const tree = new ProcessTree(child.pid ?? 0, undefined)
    expect(tree.has(child.pid ?? 0)).toBe(false)
    expect(tree.holderOf(1)).toBeUndefined()
  })

  test('holds neither its own watcher, nor pid 1, nor a pid that does not exist', () => {
    const command = keep(startProgram('process.stdin.resume()', []))
    for (const reaper of [undefined, process.pid]) {
      const tree = new ProcessTree(command.pid ?? 0, reaper)
      for (const pid of [process.pid, process.ppid, 1, 0, -1, 4_000_000])
        expect(tree.has(pid), `pid ${pid}`).toBe(false)
    }
  })

  test('finds no holder of a socket of the watcher itself', async () => {
    const command = keep(startProgram('process.stdin.resume()', []))
    const client = connect(gate.port, '127.0.0.1')
    expect(new ProcessTree(command.pid ?? 0, process.pid).holderOf(await arrivingInode())).toBeUndefined()
    client.destroy()
  })

  test('finds no holder of a number that is a file’s, not a socket’s', () => {
    const command = keep(startProgram('process.stdin.resume()', []))
    const inode = fstatSync(0).ino
    expect(new ProcessTree(command.pid ?? 0, undefined).holderOf(inode)).toBeUndefined()
  })

  test('keeps a descendant that was seen before its parent died, and not one that was not', async () => {
    const parent = `"$0" -e "$1" "$2" & echo $!; "$0" -e "$1" "$2" & echo $!; echo $$; read line`
    const script = `sh -c '${parent}' "$0" "$1" "$2"; read line`
    const command = keep(spawn('sh', ['-c', script, process.execPath, CALLER, String(gate.port)], { stdio: 'pipe' }))
    const said = createInterface({ input: command.stdout })[Symbol.asyncIterator]()
    const pids = [Number((await said.next()).value), Number((await said.next()).value)]
    const middle = Number((await said.next()).value)
    const inode = await arrivingInode()
    const tree = new ProcessTree(command.pid ?? 0, undefined)
    const seen = tree.holderOf(inode) ?? 0
    expect(pids).toContain(seen)
    process.kill(middle, 'SIGKILL')
    await vi.waitFor(() => expect(readStat(seen)?.parent).not.toBe(middle), { timeout: 10_000 })
    expect(tree.holderOf(inode)).toBe(seen)
    expect(new ProcessTree(command.pid ?? 0, undefined).holderOf(inode)).toBeUndefined()
  })

  test.skipIf(!canChoosePid)('is not fooled by a pid that another process has taken (needs ns_last_pid)', async () => {
    const script = `"$0" -e "$1" "$2" & echo $!; wait $!; read line`
    const shell = keep(spawn('sh', ['-c', script, process.execPath, CALLER, String(gate.port)], { stdio: 'pipe' }))
    const tree = new ProcessTree(shell.pid ?? 0, undefined)
    const [line] = await once(createInterface({ input: shell.stdout }), 'line')
    const pid = Number(line)
    expect(tree.holderOf(await arrivingInode())).toBe(pid)
    process.kill(pid, 'SIGKILL')
    await vi.waitFor(() => expect(readStat(pid)).toBeUndefined(), { timeout: 10_000 })

    const taken = await startAs(pid)
    expect(taken?.pid).toBe(pid)
    expect(tree.holderOf(await arrivingInode())).toBeUndefined()
    expect(tree.has(pid)).toBe(false)
  })

  /** A caller with this very pid; others may start processes at the same time, so it is tried more than once. */
  async function startAs(pid: number): Promise<ChildProcess | undefined> {
    for (let attempt = 0; attempt < 50; attempt += 1) {
      writeFileSync('/proc/sys/kernel/ns_last_pid', String(pid - 1))
      const child = startProgram(CALLER, [String(gate.port)])
      if (child.pid === pid) return keep(child)
      await endProgram(child)
    }
    return undefined
  }
})
