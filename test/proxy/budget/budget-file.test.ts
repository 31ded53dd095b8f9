// What is spent is in the file before anybody relies on it, and the file stays whole and small.
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseSpiffeId } from '../../../certs/spiffe-id.ts'
import { compileBudget } from '../../../policy/budgets/budget.ts'
import { Ledger } from '../../../policy/budgets/ledger.ts'
import { BudgetFile } from '../../../proxy/budget/budget-file.ts'

const day = 86_400_000
const budget = compileBudget('b', { per: 'agent', for: {}, every: day, requests: 1_000_000, paths: 10_000 })

let folder: string
let path: string
let problems: string[]
let open: BudgetFile[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-budgets-'))
  path = join(folder, 'state', 'budgets.jsonl')
  problems = []
  open = []
})
afterEach(async () => {
  for (const file of open) await file.close()
  await rm(folder, { recursive: true, force: true })
})

const now = Date.UTC(2026, 0, 5, 9, 30)

async function opened(): Promise<{ ledger: Ledger; file: BudgetFile }> {
  const ledger = new Ledger(() => now)
  const file = await BudgetFile.open({ path, counted: ledger, onProblem: ({ message }) => problems.push(message) })
  open.push(file)
  return { ledger, file }
}

function spend(ledger: Ledger, name: string, asked = '/'): void {
  const id = parseSpiffeId(`spiffe://acme.example/${name}`)
  const request = { method: 'GET', scheme: 'https', host: 'a', port: 443, path: asked, query: '', headers: [] } as const
  const principal = { kind: 'agent', id }
  const chain = { depth: 0, agents: [], scopes: [] }
  ledger.reserve([budget], { now, caller: { id, proofs: [] }, principal, chain, request }, 'a')
}

const countsOf = (ledger: Ledger) =>
  Object.fromEntries([...ledger.all()].map(({ key, requests, paths }) => [key.slice(-1), [requests, paths?.length]]))

describe('the file of budgets', () => {
  it('holds what was counted as soon as that is said, for its owner alone', async () => {
    const { ledger, file } = await opened()
    spend(ledger, 'a', '/1')
    await file.written()
    spend(ledger, 'a', '/2')
    spend(ledger, 'b')
    await file.written()
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    const later = await opened()
    expect(countsOf(later.ledger)).toEqual({ a: [2, 2], b: [1, 1] })
  })

  it('is written once for many who wait', async () => {
    const { ledger, file } = await opened()
    spend(ledger, 'a')
    await file.written()
    const before = (await readFile(path, 'utf8')).length
    const waiting = Array.from({ length: 100 }, () => {
      spend(ledger, 'a')
      return file.written()
    })
    await Promise.all(waiting)
    const lines = (await readFile(path, 'utf8')).slice(before).split('\n').length - 1
    expect(lines).toBeLessThan(5)
    expect(countsOf((await opened()).ledger)).toEqual({ a: [101, 1] })
  })

  it('is made anew when it has grown, and loses nothing meanwhile', async () => {
    const { ledger, file } = await opened()
    for (let n = 0; n < 3_000; n += 1) {
      spend(ledger, `agent-${n}`)
    }
    await file.written()
    const base = (await stat(path)).size
    const writes: Promise<void>[] = []
    for (let round = 0; round < 12; round += 1) {
      for (let n = 0; n < 3_000; n += 1) spend(ledger, `agent-${n}`)
      writes.push(file.written())
      await writes.at(-1)
    }
    expect((await stat(path)).size).toBeLessThan(base * 8)
    const later = await opened()
    expect([...later.ledger.all()].every(({ requests }) => requests === 13)).toBe(true)
    expect(await readdir(join(folder, 'state'))).toEqual(['budgets.jsonl'])
  })

  it('that cannot be written is told of once, holds nobody up, and is written with all of it when it can be', async () => {
    const { ledger, file } = await opened()
    await writeFile(join(folder, 'state'), 'in the way')
    spend(ledger, 'a')
    await file.written()
    spend(ledger, 'b')
    await file.written()
    // Nothing further is counted: it is the failure that is made good.
    expect(problems).toEqual([expect.stringMatching(/budgets\.jsonl cannot be written.*: (EEXIST|ENOTDIR)$/)])
    await rm(join(folder, 'state'))
    await file.close()
    expect(countsOf((await opened()).ledger)).toEqual({ a: [1, 1], b: [1, 1] })
  })

  it.each([
    [
      'has a line of something else',
      '{"order":{}}\n',
      0o600,
      /budgets\.jsonl:1: this line says nothing about a budget/,
    ],
    [
      'has a negative number',
      '{"book":"b","key":"k","ends":1,"requests":-1,"bytes":0,"cost":0}\n',
      0o600,
      /:1: this line/,
    ],
    ['can be written by others', '', 0o622, /can be written by others/],
  ])('that %s is not believed', async (_, text, mode, message) => {
    await mkdir(join(folder, 'state'))
    await writeFile(path, text)
    await chmod(path, mode)
    await expect(opened()).rejects.toThrow(message)
  })

  it('that is a link is not believed', async () => {
    await mkdir(join(folder, 'state'))
    await writeFile(join(folder, 'other'), '')
    await symlink(join(folder, 'other'), path)
    await expect(opened()).rejects.toThrow(/ELOOP/)
  })

  it('with a torn end is read without it', async () => {
    const { ledger, file } = await opened()
    spend(ledger, 'a')
    await file.written()
    await writeFile(path, `${await readFile(path, 'utf8')}{"book":"b agent`)
    const later = await opened()
    expect(countsOf(later.ledger)).toEqual({ a: [1, 1] })
    spend(later.ledger, 'a')
    await later.file.written()
    expect(countsOf((await opened()).ledger)).toEqual({ a: [2, 1] })
  })
})
