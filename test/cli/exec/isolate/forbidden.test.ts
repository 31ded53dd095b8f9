// Settings of the kernel that forbid namespaces are told by name.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { forbiddenBy } from '../../../../cli/exec/isolate/forbidden.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'forbidden-'))
})
afterEach(() => rmSync(root, { recursive: true }))

function set(path: string, value: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), `${value}\n`)
}

it('what does not forbid, or is not there, is not named', () => {
  expect(forbiddenBy(root)).toBeUndefined()
  set('kernel/apparmor_restrict_unprivileged_userns', '0')
  set('kernel/unprivileged_userns_clone', '1')
  set('user/max_user_namespaces', '10')
  expect(forbiddenBy(root)).toBeUndefined()
})

it.each([
  ['kernel/apparmor_restrict_unprivileged_userns', '1', 'kernel.apparmor_restrict_unprivileged_userns is 1'],
  ['kernel/unprivileged_userns_clone', '0', 'kernel.unprivileged_userns_clone is 0'],
  ['user/max_net_namespaces', '0', 'user.max_net_namespaces is 0'],
])('%s = %s is', (path, value, named) => {
  set(path, value)
  expect(forbiddenBy(root)).toBe(named)
})
