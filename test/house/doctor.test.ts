// docs/doctor.md lists the lines that there are, in their order, and no others.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { checks } from '../../cli/doctor/checks.ts'
import { doctorCommand } from '../../cli/doctor.ts'

const page = readFileSync(new URL('../../docs/doctor.md', import.meta.url), 'utf8')
const section = (title: string) => page.split(/^## /m).find((text) => text.startsWith(`${title}\n`)) ?? ''
const firstCells = (text: string) => [...text.matchAll(/^\| `([^`]+)`/gm)].map(([, cell = '']) => cell)

describe('the page of doctor', () => {
  it('lists each line, in the order in which they are told', () => {
    const names = checks.map(({ name }) => name)
    expect(firstCells(section('The lines'))).toEqual(names)
    expect(new Set(names).size).toBe(names.length)
    expect(names.filter((name) => !/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(name))).toEqual([])
  })

  it('lists each option', () => {
    const written = firstCells(section('Options')).flatMap((cell) =>
      cell.split(' ').filter((word) => word.startsWith('-')),
    )
    const there = doctorCommand().options.map(({ long, short }) => (long === '--config' ? short : long))
    expect(written.sort()).toEqual(there.sort())
  })

  it('has the shape that programs get', () => {
    const [, text = ''] = /```json\n([\s\S]*?)```/.exec(page) ?? []
    const { checks: lines, ...rest } = JSON.parse(text)
    expect(Object.keys(rest)).toEqual(['ok', 'uid', 'side', 'mode', 'counts'])
    for (const { name } of lines) expect(checks.map((check) => check.name)).toContain(name)
  })
})
