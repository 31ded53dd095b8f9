import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { folderWith } from '../proxy/config/folder.ts'
import { good } from '../proxy/config/good.ts'

const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))
const canary = 'canary-7b2f-secret'

/** Runs `postern check` in a process of its own, in a folder with these files. */
function check(files: Readonly<Record<string, string>>, ...args: string[]) {
  const folder = folderWith(files)
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', main, 'check', ...args],
    {
      cwd: folder,
      env: { PATH: process.env.PATH ?? '', HOME: folder, CRM_SECRET: canary },
      encoding: 'utf8',
    },
  )
  return { status, stdout, stderr }
}

describe('a configuration that is wrong', () => {
  const wrong = { 'postern.yaml': good.replace('trustDomain:', 'trustDomian:').replace('to: crm', 'to: cmr') }

  it('ends with 78 and shows each problem where it stands', () => {
    const { status, stdout, stderr } = check(wrong, 'postern.yaml')
    expect({ status, stdout }).toEqual({ status: 78, stdout: '' })
    expect(stderr).toBe(
      [
        'postern.yaml:2:1: trustDomian: unknown key; did you mean `trustDomain`?',
        ' 2 | trustDomian: ••••••••••••',
        '   | ^^^^^^^^^^^',
        '',
        'postern.yaml:24:11: rules[1].allow.to: there is no destination of this name; did you mean `crm`?',
        ' 24 |       to: cmr',
        '    |           ^^^',
        '',
        '2 problems',
        '',
      ].join('\n'),
    )
  })

  it('is told to programs as JSON', () => {
    const { status, stdout, stderr } = check(wrong, '--json')
    expect({ status, stderr }).toEqual({ status: 78, stderr: '' })
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      file: 'postern.yaml',
      problems: [
        {
          file: 'postern.yaml',
          line: 2,
          column: 1,
          path: 'trustDomian',
          message: 'unknown key',
          nearest: 'trustDomain',
        },
        { line: 24, path: 'rules[1].allow.to', nearest: 'crm' },
      ],
    })
  })

  it('ends with 66 where there is no file', () => {
    const { status, stderr } = check({}, 'nowhere.yaml')
    expect({ status, stderr }).toEqual({ status: 66, stderr: 'nowhere.yaml:1:1: does not exist\n\n1 problem\n' })
    expect(check({}, 'nowhere.yaml', '--json').status).toBe(66)
  })

  it('ends with 64 where the command line is wrong', () => {
    expect(check({}, '--jsn').status).toBe(64)
  })

  it('shows no secret that was written into it', () => {
    const written = good.replace('"${env:CRM_SECRET}"', canary)
    const { status, stdout, stderr } = check({ 'postern.yaml': written })
    expect(status).toBe(78)
    expect(stdout + stderr).not.toContain(canary)
  })
})

describe('a configuration that can be used', () => {
  it('ends with 0 and says what it means, and what is worth a second look', () => {
    const { status, stdout, stderr } = check({ 'postern.yaml': good })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    for (const line of [
      'postern.yaml can be used. It means:',
      '  agents: 127.0.0.1:15001 (http-proxy)',
      '    any process on this machine, as spiffe://acme.example/local',
      '    whoever presents a valid X509-SVID, as the ID in it',
      '  ✗ nobody-deletes',
      '    nobody may DELETE any path anywhere',
      '    spiffe://acme.example/ns/agents/sa/researcher may GET /v1/contacts/** at crm',
      '      when chain.depth <= 2 && principal.kind == "user"',
      '      carrying crm-token as a bearer token',
      '      at most 60/minute per agent',
      '  crm-token: oauth2-client-credentials from https://login.acme.example/token; only ever sent to crm',
      '  search: https://*.search.example, also at 10.20.0.0/16',
      'Worth a second look',
      '  postern.yaml:10:3: destinations.search: no rule allows anybody to go here',
    ]) {
      expect(stdout.split('\n')).toContain(line)
    }
    expect(stdout).toMatch(/^Records go to \/.*\/records\.jsonl\.$/m)
    expect(stdout).not.toContain(canary)
  })

  it('is told to programs as JSON', () => {
    const answer = JSON.parse(check({ 'postern.yaml': good }, '--json').stdout)
    expect(answer).toMatchObject({
      ok: true,
      summary: {
        rules: [
          { name: 'nobody-deletes', effect: 'deny', shadow: false },
          { name: 'researcher-reads-contacts', effect: 'allow' },
        ],
        credentials: [{ name: 'crm-token', onlyTo: ['crm'] }],
      },
      warnings: [
        { line: 3, path: 'identity.source' },
        { line: 10, path: 'destinations.search' },
      ],
    })
  })
})

it('--schema prints the JSON Schema, without any configuration', () => {
  const { status, stdout } = check({}, '--schema')
  expect(status).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({ title: 'Postern configuration', additionalProperties: false })
})
