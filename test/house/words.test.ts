// The project speaks of itself alone, and a secret in the tree would be everybody's.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
const inCheckout = existsSync(join(root, '.git'))
const tracked = inCheckout
  ? execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' })
      .split('\0')
      .filter((file) => file !== '' && existsSync(join(root, file)) && !/\.(png|gz|der|p12)$/.test(file))
  : []
const offenders = (pattern: RegExp, except: RegExp) =>
  tracked.filter((file) => !except.test(file) && pattern.test(readFileSync(join(root, file), 'utf8')))

describe.skipIf(!inCheckout)('the tree (skipped outside a git checkout)', () => {
  it('names no registry host and no path of a machine', () => {
    expect(offenders(/registry\.npmjs|"resolve[d]":/, /^test\/house\/words\.test\.ts$/)).toEqual([])
    expect(offenders(/\/(work|farm)\/(main|shared)|\/root\//, /^test\/house\/words\.test\.ts$/)).toEqual([])
  })

  it('holds no private key', () => {
    expect(offenders(/-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/]{40}/, /^$/)).toEqual([])
  })
})
