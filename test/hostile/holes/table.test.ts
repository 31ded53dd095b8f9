// The table of holes is whole, and each leads to a test that exists.
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { mutations } from './mutations.ts'
import { holes } from './table.ts'

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')

describe('the table of holes', () => {
  it('has all of them, in their order', () => {
    expect(holes.map(({ number }) => number)).toEqual(Array.from({ length: 26 }, (_, at) => at + 1))
    expect(new Set(holes.map(({ wrong }) => wrong)).size).toBe(26)
  })

  it.each(holes.flatMap(({ number, tests }) => tests.map((test) => ({ number, ...test }))))(
    'H$number leads to a test: $file, $name',
    ({ file, name }) => {
      expect(existsSync(new URL(`../../${file}`, import.meta.url))).toBe(true)
      expect(read(file)).toMatch(
        new RegExp(`(?:describe|it|test)\\b[\\s\\S]{0,40}?['"\`]${name.replaceAll(/[.*+?()[\]{}|^$\\]/g, '\\$&')}`),
      )
    },
  )

  it.each(
    holes.flatMap(({ number, tests }) =>
      tests.filter(({ file }) => file.startsWith('hostile/holes/')).map(({ name }) => ({ number, name })),
    ),
  )('$name carries its number', ({ number, name }) => {
    expect(name.startsWith(`H${number}: `)).toBe(true)
  })
})

describe('the changes that open holes', () => {
  it('are there for each hole', () => {
    const opened = new Set(mutations.map(({ hole }) => hole))
    expect(holes.map(({ number }) => number).filter((number) => !opened.has(number))).toEqual([])
  })

  it.each(mutations.flatMap(({ patches }) => patches))(
    'find in $file what they take out, once: $text',
    ({ file, text }) => {
      expect(readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8').split(text)).toHaveLength(2)
    },
  )
})
