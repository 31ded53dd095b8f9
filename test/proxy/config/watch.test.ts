import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { ConfigError } from '../../../proxy/config/problems.ts'
import type { Config } from '../../../proxy/config/schema.ts'
import { ConfigWatch } from '../../../proxy/config/watch.ts'
import { makeAuthority } from '../../support/pki.ts'
import { folderWith } from './folder.ts'

const text = (domain: string) => `version: 1\ntrustDomain: ${domain}\n`
const broken = 'version: 1\ntrustDomain: [\n'

interface Watched {
  readonly watch: ConfigWatch
  /** Trust domains of the configurations that were taken into use, one after the other. */
  readonly used: string[]
  readonly failures: Error[]
}

async function watching(path: string, onReload?: (config: Config) => void | Promise<void>): Promise<Watched> {
  const used: string[] = []
  const failures: Error[] = []
  const watch = await ConfigWatch.start({
    path,
    environment: {},
    onReload: async (config) => {
      await onReload?.(config)
      used.push(config.trustDomain)
    },
    onFailure: (error) => failures.push(error),
  })
  onTestFinished(() => watch.close())
  return { watch, used, failures }
}

/** A mounted ConfigMap: `postern.yaml → ..data/postern.yaml`, `..data → ..1`. */
function mounted(domain: string): { readonly folder: string; readonly replace: (domain: string) => void } {
  const folder = folderWith({ '..1/postern.yaml': text(domain) })
  symlinkSync('..1', join(folder, '..data'))
  symlinkSync(join('..data', 'postern.yaml'), join(folder, 'postern.yaml'))
  let generation = 1
  return {
    folder,
    // As kubelet does it (AtomicWriter): a new folder, a new link, renamed over the old one, the old folder removed.
    replace: (next) => {
      const before = `..${generation++}`
      mkdirSync(join(folder, `..${generation}`))
      writeFileSync(join(folder, `..${generation}`, 'postern.yaml'), text(next))
      symlinkSync(`..${generation}`, join(folder, '..data_tmp'))
      renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
      rmSync(join(folder, before), { recursive: true })
    },
  }
}

const soon = (assertion: () => void) => vi.waitFor(assertion, { timeout: 5_000, interval: 10 })

describe('a configuration that becomes bad', () => {
  it('changes nothing, and is told', async () => {
    const path = join(folderWith({ 'postern.yaml': text('one.example') }), 'postern.yaml')
    const { watch, used, failures } = await watching(path)
    writeFileSync(path, broken)
    await soon(() => expect(failures).toHaveLength(1))
    expect(failures[0]).toBeInstanceOf(ConfigError)
    expect(watch.current.trustDomain).toBe('one.example')
    expect(used).toEqual([])
    writeFileSync(path, text('two.example'))
    await soon(() => expect(used).toEqual(['two.example']))
    expect(watch.current.trustDomain).toBe('two.example')
  })

  it('is told once, however often it is looked at', async () => {
    const path = join(folderWith({ 'postern.yaml': text('one.example') }), 'postern.yaml')
    const { watch, failures } = await watching(path)
    writeFileSync(path, broken)
    expect(await watch.reload()).toBe(false)
    expect(await watch.reload()).toBe(false)
    expect(failures).toHaveLength(1)
  })

  it('by being removed, and good again by coming back', async () => {
    const path = join(folderWith({ 'postern.yaml': text('one.example') }), 'postern.yaml')
    const { watch, used, failures } = await watching(path)
    unlinkSync(path)
    await soon(() => expect(failures).toMatchObject([{ kind: 'unreadable' }]))
    expect(watch.current.trustDomain).toBe('one.example')
    writeFileSync(path, text('two.example'))
    await soon(() => expect(used).toEqual(['two.example']))
  })

  it('for whoever takes it into use is not in use, and is tried again when asked', async () => {
    const path = join(folderWith({ 'postern.yaml': text('one.example') }), 'postern.yaml')
    let portTaken = true
    const { watch, used, failures } = await watching(path, () => {
      if (portTaken) throw new Error('the port is taken')
    })
    writeFileSync(path, text('two.example'))
    await soon(() => expect(failures).toMatchObject([{ message: 'the port is taken' }]))
    expect(watch.current.trustDomain).toBe('one.example')
    portTaken = false
    expect(await watch.reload()).toBe(true)
    expect(used).toEqual(['two.example'])
    expect(watch.current.trustDomain).toBe('two.example')
  })

  it('at the start is thrown', async () => {
    const path = join(folderWith({ 'postern.yaml': broken }), 'postern.yaml')
    await expect(watching(path)).rejects.toBeInstanceOf(ConfigError)
  })
})

describe('a change is noticed', () => {
  it('when the file is written anew', async () => {
    const path = join(folderWith({ 'postern.yaml': text('one.example') }), 'postern.yaml')
    const { used } = await watching(path)
    writeFileSync(path, text('two.example'))
    await soon(() => expect(used).toEqual(['two.example']))
  })

  it('when an editor renames another file over it, more than once', async () => {
    const folder = folderWith({ 'postern.yaml': text('one.example') })
    const path = join(folder, 'postern.yaml')
    const { used } = await watching(path)
    for (const domain of ['two.example', 'three.example']) {
      writeFileSync(join(folder, '.postern.yaml.swp'), text(domain))
      renameSync(join(folder, '.postern.yaml.swp'), path)
      await soon(() => expect(used.at(-1)).toBe(domain))
    }
  })

  it('when a mounted ConfigMap is replaced, more than once', async () => {
    const { folder, replace } = mounted('one.example')
    const { used, failures } = await watching(join(folder, 'postern.yaml'))
    for (const domain of ['two.example', 'three.example', 'four.example']) {
      replace(domain)
      await soon(() => expect(used.at(-1)).toBe(domain))
    }
    expect(failures).toEqual([])
  })

  it('when the file behind a symbolic link elsewhere is written', async () => {
    const folder = folderWith({ 'real/postern.yaml': text('one.example'), 'etc/other': '' })
    symlinkSync(join(folder, 'real', 'postern.yaml'), join(folder, 'etc', 'postern.yaml'))
    const { used } = await watching(join(folder, 'etc', 'postern.yaml'))
    writeFileSync(join(folder, 'real', 'postern.yaml'), text('two.example'))
    await soon(() => expect(used).toEqual(['two.example']))
  })

  it('when the file of an authority that it names is replaced', async () => {
    const [first, second] = [makeAuthority(), makeAuthority()]
    const folder = folderWith({
      'postern.yaml': `${text('one.example')}destinations: { crm: { hosts: [crm.example], ca: [tls/ca.pem] } }\n`,
      'tls/ca.pem': first.pem,
      'tls/next.pem': second.pem,
    })
    const { watch, used } = await watching(join(folder, 'postern.yaml'))
    expect(watch.current.destinations.crm?.ca).toEqual([first.pem])
    renameSync(join(folder, 'tls/next.pem'), join(folder, 'tls/ca.pem'))
    await soon(() => expect(used).toHaveLength(1))
    expect(watch.current.destinations.crm?.ca).toEqual([second.pem])
  })

  it('when it is asked for', async () => {
    const path = join(folderWith({ 'postern.yaml': text('one.example') }), 'postern.yaml')
    const { watch, used } = await watching(path)
    writeFileSync(path, text('two.example'))
    expect(await watch.reload()).toBe(true)
    expect(used).toEqual(['two.example'])
  })
})

describe('what is no change', () => {
  it('is not taken into use again: the same text written again, other files in the folder', async () => {
    const folder = folderWith({ 'postern.yaml': text('one.example') })
    const path = join(folder, 'postern.yaml')
    const { watch, used } = await watching(path)
    writeFileSync(path, text('one.example'))
    copyFileSync(path, join(folder, 'copy.yaml'))
    expect(await watch.reload()).toBe(true)
    writeFileSync(path, text('two.example'))
    await soon(() => expect(used).toEqual(['two.example']))
  })

  it('does not put off what is one: a busy folder', async () => {
    const folder = folderWith({ 'postern.yaml': text('one.example') })
    const path = join(folder, 'postern.yaml')
    const { used } = await watching(path)
    const busy = setInterval(() => appendFileSync(join(folder, 'records.jsonl'), '{}\n'), 1)
    onTestFinished(() => clearInterval(busy))
    writeFileSync(path, text('two.example'))
    await soon(() => expect(used).toEqual(['two.example']))
  })

  it('after the end is not looked at', async () => {
    const path = join(folderWith({ 'postern.yaml': text('one.example') }), 'postern.yaml')
    const { watch, used } = await watching(path)
    watch.close()
    writeFileSync(path, text('two.example'))
    expect(await watch.reload()).toBe(false)
    expect(used).toEqual([])
  })
})

it('a folder that is removed and made again is watched again', async () => {
  const root = folderWith({ 'conf/postern.yaml': text('one.example') })
  const path = join(root, 'conf', 'postern.yaml')
  const { used, failures } = await watching(path)
  rmSync(join(root, 'conf'), { recursive: true })
  await soon(() => expect(failures).toMatchObject([{ kind: 'unreadable' }]))
  mkdirSync(join(root, 'new'))
  writeFileSync(join(root, 'new/postern.yaml'), text('two.example'))
  renameSync(join(root, 'new'), join(root, 'conf'))
  await soon(() => expect(used).toEqual(['two.example']))
  writeFileSync(path, text('three.example'))
  await soon(() => expect(used).toEqual(['two.example', 'three.example']))
  expect(failures).toHaveLength(1)
})
