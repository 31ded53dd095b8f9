// Where Helm comes from: PATH first, and never bytes that are not the pinned ones.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { findHelm, pinned } from '../../../deploy/helm/find-helm.ts'

describe('helm', () => {
  it('is the first on PATH that can be run', async () => {
    const [one, other] = [0, 1].map(() => mkdtempSync(join(tmpdir(), 'postern-helm-'))) as [string, string]
    try {
      writeFileSync(join(one, 'helm'), 'not to be run', { mode: 0o644 })
      writeFileSync(join(other, 'helm'), '#!/bin/sh\n', { mode: 0o755 })
      expect(await findHelm({ path: ['', one, other].join(delimiter) })).toEqual({ helm: join(other, 'helm') })
    } finally {
      for (const folder of [one, other]) rmSync(folder, { recursive: true })
    }
  })

  it('is not taken out of another archive', () => {
    expect(() => pinned(Buffer.from('another'))).toThrow('is not the one that is pinned')
  })
})
