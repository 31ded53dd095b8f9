// What is told after an installation can be done as it stands, and leads to the proof.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { doctorCommand } from '../../cli/doctor.ts'
import { renderChart, renderNotes } from '../../deploy/helm/render.ts'
import { paths } from '../../deploy/injector/parts.ts'
import { render } from '../../deploy/injector/render.ts'
import { injectorSettingsSchema } from '../../deploy/injector/settings.ts'
import { loadConfig } from '../../proxy/config/load.ts'
import { helm, isMissing, sets } from './helm.ts'
import { objectsOf, the } from './objects.ts'

describe.skipIf(isMissing).each(sets)('what is told with values $name', async ({ name, file }) => {
  const [notes, rendered] = isMissing
    ? ['', '']
    : await Promise.all([renderNotes(helm, { values: [file] }), renderChart(helm, { values: [file] })])
  const documents = [...notes.matchAll(/<<'EOF'\n([\s\S]*?)^EOF$/gm)].map(([, text = '']) => text)
  const objects = documents.flatMap(objectsOf)
  const settings = isMissing
    ? injectorSettingsSchema.parse({})
    : injectorSettingsSchema.parse(parse(the(objectsOf(rendered), 'ConfigMap').data['injector.yaml']))

  it('is what its golden file says', async () => {
    await expect(notes).toMatchFileSnapshot(`golden/${name}.notes.txt`)
  })

  it('has a configuration that the proxy takes, with the ports and folders that the injector counts on', async () => {
    const { policy, ports, trustDirectory } = settings
    const holder = the(objects, policy.kind === 'secret' ? 'Secret' : 'ConfigMap', policy.name)
    const folder = mkdtempSync(join(tmpdir(), 'postern-notes-'))
    try {
      writeFileSync(join(folder, 'postern.yaml'), (holder.data ?? holder.stringData)['postern.yaml'])
      const config = await loadConfig(join(folder, 'postern.yaml'), {})
      expect(config.listen.map(({ address }) => address)).toEqual(
        [
          ['127.0.0.1', ports.explicit],
          ['127.0.0.1', ports.redirected],
          ['::1', ports.redirected],
        ].map(([host, port]) => ({ kind: 'tcp', host, port })),
      )
      expect(JSON.stringify(config.dns)).toContain(String(ports.dns))
      expect(JSON.stringify(config.admin)).toContain(String(ports.metrics))
      expect(config.trust?.directory).toBe(trustDirectory)
      expect(config.rules).toHaveLength(1)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('has a pod that is injected', () => {
    const labels = { 'postern.dev/inject': 'enabled' }
    const pod = documents.find((text) => text.includes('kind: Pod')) ?? ''
    const { pods } = render(pod, { name: 'agents', labels, annotations: {} }, settings)
    expect(pods).toMatchObject([{ called: 'Pod/proof', refusals: [], warnings: [], skipped: undefined }])
    expect(pods[0]?.diff.length).toBeGreaterThan(50)
  })

  it('ends with the proof, by commands and options that there are', () => {
    const { metadata, spec } = the(objects, 'Pod')
    const [container] = spec.containers
    expect(container.image).toBe(settings.image)
    expect(container.command.join(' ')).toMatch(/^postern doctor --url https:\/\/example\.com\/ --metrics /)
    expect(container.command.at(-1)).toBe(`127.0.0.1:${settings.ports.metrics}`)
    const told = [container.command, ...notes.matchAll(/-- (postern doctor .*)$/gm)].map((words) => String(words))
    const options = told.flatMap((line) => line.match(/--[a-z-]+/g) ?? [])
    const known = doctorCommand().options.map(({ long }) => long)
    expect(options.filter((option) => option !== '--' && !known.includes(option))).toEqual([])
    expect(notes).toContain('kubectl label namespace agents postern.dev/inject=enabled\n')
    expect(notes).toContain(`logs ${metadata.name} --container ${container.name}\n`)
    expect(notes).toContain(`postern doctor --config ${paths.config}/postern.yaml`)
  })
})
