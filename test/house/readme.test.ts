// README.md and the pages of docs/ say what is so: their configurations load, their commands and options exist, their links lead somewhere.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { afterAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { auditCommand } from '../../cli/audit.ts'
import { captureCommand } from '../../cli/capture.ts'
import { checkCommand } from '../../cli/check.ts'
import { delegateCommand } from '../../cli/delegate.ts'
import { demoCommand } from '../../cli/demo.ts'
import { doctorCommand } from '../../cli/doctor.ts'
import { execCommand } from '../../cli/exec.ts'
import { identityCommand } from '../../cli/identity.ts'
import { injectorCommand } from '../../cli/injector.ts'
import { killCommand } from '../../cli/kill.ts'
import { killsCommand } from '../../cli/kills.ts'
import { logsCommand } from '../../cli/logs.ts'
import { policyCommand } from '../../cli/policy.ts'
import { reviveCommand } from '../../cli/revive.ts'
import { runCommand } from '../../cli/run.ts'
import { statusCommand } from '../../cli/status.ts'
import { whyCommand } from '../../cli/why.ts'
import { caseFileSchema } from '../../policy/case.ts'
import { loadConfig } from '../../proxy/config/load.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md'].filter((file) => existsSync(join(root, file))),
  ...readdirSync(join(root, 'docs')).flatMap((file) => (file.endsWith('.md') ? [`docs/${file}`] : [])),
]
const read = (page: string) => readFileSync(join(root, page), 'utf8')

/** The blocks of code of one language, each with a name for the report. */
function blocksOf(page: string, language: string): { readonly name: string; readonly text: string }[] {
  const found = read(page).matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))
  return [...found].map(([, text = ''], at) => ({ name: `${page}, ${language} block ${at + 1}`, text }))
}

describe('the configurations', () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-readme-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const secret = join(folder, 'secret')
  writeFileSync(secret, 'a secret')

  const whole = pages.flatMap((page) => blocksOf(page, 'yaml')).filter(({ text }) => text.startsWith('version: 1\n'))

  it('are found at all', () => {
    expect(whole.filter(({ name }) => name.startsWith('README.md')).length).toBeGreaterThan(2)
  })

  it.each(whole)('load: $name', async ({ text }) => {
    const file = join(folder, 'postern.yaml')
    writeFileSync(file, text.replaceAll(/\$\{file:[^}]+\}/g, `\${file:${secret}}`))
    const variables = [...text.matchAll(/\$\{env:([^}]+)\}/g)].map(([, name = '']) => [name, 'a secret'])
    const config = await loadConfig(file, Object.fromEntries(variables))
    expect(config.rules.length).toBeGreaterThan(0)
  })

  it('come with cases that `postern policy test` reads', () => {
    const cases = blocksOf('README.md', 'yaml').filter(({ text }) => text.startsWith('cases:'))
    expect(cases.length).toBeGreaterThan(0)
    for (const { name, text } of cases)
      expect([name, caseFileSchema.safeParse(parse(text)).error]).toEqual([name, undefined])
  })
})

describe('the commands', () => {
  const commands = [
    runCommand(),
    execCommand(),
    delegateCommand(),
    captureCommand(),
    checkCommand(),
    policyCommand(),
    logsCommand(),
    whyCommand(),
    auditCommand(),
    statusCommand(),
    killCommand(),
    reviveCommand(),
    killsCommand(),
    identityCommand(),
    injectorCommand(),
    doctorCommand(),
    demoCommand(),
  ]

  /** What follows `postern`, as far as it is ours: not what another program gets through a pipe, or behind `--`. */
  const written = pages.flatMap((page) => {
    const text = read(page).replaceAll('\\\n', ' ')
    const inBlocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, block = '']) => block.split('\n'))
    const inText = [...text.matchAll(/`(postern [^`\n]+)`/g)].map(([, line = '']) => line)
    return [...inBlocks, ...inText].flatMap((line) =>
      [...line.matchAll(/(?:^|[\s|;])postern ([a-z]+(?: [^|;>#]*)?)/g)].map(([, rest = '']) => ({
        page,
        line: `postern ${rest.trim()}`,
        words: (rest.split(/ --(?= |$)/)[0] ?? '').trim().split(/\s+/),
      })),
    )
  })

  it('are found at all', () => {
    expect(written.filter(({ page }) => page === 'README.md').length).toBeGreaterThan(8)
  })

  it.each(written)('$page: $line', ({ words: [first = '', ...others] }) => {
    const top = commands.find((command) => command.name() === first)
    expect(top, `a command ${first}`).toBeDefined()
    if (top === undefined) return
    const below = top.commands.find((command) => command.name() === others[0])
    if (top.commands.length > 0) expect(below ?? others[0], `a command ${first} ${others[0]}`).not.toBe(others[0])
    expect(optionsOf(others).filter((option) => !knows(below ?? top, option))).toEqual([])
  })
})

const optionsOf = (words: readonly string[]) =>
  words.flatMap((word) => /^(--[a-z][a-z-]*|-[A-Za-z])(?:=|$)/.exec(word)?.[1] ?? [])

const knows = (command: Command, option: string) =>
  option === '--help' || command.options.some(({ short, long }) => short === option || long === option)

describe('the decisions', () => {
  it('name every dependency', () => {
    const { dependencies, devDependencies, optionalDependencies } = JSON.parse(read('package.json'))
    const names = [dependencies, devDependencies, optionalDependencies].flatMap(Object.keys)
    const page = read('docs/decisions.md')
    expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([])
  })
})

describe('the links', () => {
  const links = pages.flatMap((page) => {
    // What stands in code is no link.
    const text = read(page)
      .replaceAll(/^```[\s\S]*?^```$/gm, '')
      .replaceAll(/`[^`\n]*`/g, 'code')
    return [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) =>
      /^[a-z]+:/.test(link) ? [] : [{ page, link }],
    )
  })

  it('are found at all', () => {
    expect(links.length).toBeGreaterThan(20)
  })

  it.each(links)('$page → $link', ({ page, link }) => {
    const [path = '', anchor] = link.split('#')
    const target = path === '' ? page : relative(root, resolve(root, dirname(page), path))
    expect(existsSync(join(root, target)), target).toBe(true)
    if (anchor !== undefined) expect(anchorsOf(target)).toContain(anchor)
  })
})

/** As code hosts make them of headings: lower case, punctuation dropped, spaces to dashes. */
function anchorsOf(page: string): string[] {
  return [...read(page).matchAll(/^#+ +(.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-'),
  )
}
