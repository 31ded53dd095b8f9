// Where `exec` looks for a configuration, and what it says when there is none.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { configPath } from '../../cli/config-path.ts'
import { CommandError } from '../../cli/exit.ts'
import { loadConfig } from '../../proxy/config/load.ts'

const here = process.cwd()
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'config-path-'))
  process.chdir(folder)
})
afterEach(() => {
  process.chdir(here)
  rmSync(folder, { recursive: true })
})

function failure(environment: Record<string, string>): CommandError {
  try {
    configPath(undefined, environment)
  } catch (error) {
    if (error instanceof CommandError) return error
  }
  throw new Error('found one')
}

describe('configPath', () => {
  test('finding none ends with 78, says where it looked, and shows one that loads', async () => {
    const error = failure({ XDG_CONFIG_HOME: '/nowhere', POSTERN_CONFIG: '' })
    expect(error.exitCode).toBe(78)
    expect(error.message).toContain(
      'neither -c FILE, nor POSTERN_CONFIG, nor postern.yaml, nor /nowhere/postern/postern.yaml',
    )
    const example = /\n\n([\s\S]*)\n\nand see/.exec(error.message)?.[1] ?? ''
    writeFileSync('example.yaml', example)
    const config = await loadConfig('example.yaml', { API_KEY: 'key' })
    expect(config.exec.agent).toBe('spiffe://my.example/agent')
  })

  test('looks in the given order', () => {
    const environment = { XDG_CONFIG_HOME: folder }
    mkdirSync('postern')
    writeFileSync('postern/postern.yaml', '')
    expect(configPath(undefined, environment)).toBe(join(folder, 'postern/postern.yaml'))
    writeFileSync('postern.yaml', '')
    expect(configPath(undefined, environment)).toBe('postern.yaml')
    expect(configPath(undefined, { ...environment, POSTERN_CONFIG: '/etc/p.yaml' })).toBe('/etc/p.yaml')
    expect(configPath('given.yaml', { ...environment, POSTERN_CONFIG: '/etc/p.yaml' })).toBe('given.yaml')
  })
})
