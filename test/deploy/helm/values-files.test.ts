// What the chart takes from the schema of its values is what the code says, and complete. Helm itself is asked by `npm run test:chart`.
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { chartSchema } from '../../../deploy/helm/values.ts'
import { valuesFile, valuesSchema, withValues } from '../../../deploy/helm/values-files.ts'
import { injectorSettingsSchema } from '../../../deploy/injector/settings.ts'

const folder = new URL('../../../deploy/helm/postern/', import.meta.url)
const read = (name: string) => readFileSync(new URL(name, folder), 'utf8')

describe('the files of the chart', () => {
  it('are those that `npm run docs` makes', () => {
    expect(read('values.schema.json')).toBe(valuesSchema())
    expect(read('values.yaml')).toBe(valuesFile())
    expect(read('README.md')).toBe(withValues(read('README.md')))
  })

  it('have the version of the package', () => {
    const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'))
    expect(parse(read('Chart.yaml'))).toMatchObject({ version, appVersion: version })
  })

  it('have links that lead somewhere', () => {
    const links = [...read('README.md').matchAll(/\]\(([^)#]+)\)/g)].map(([, link = '']) => link)
    expect(links.length).toBeGreaterThan(2)
    expect(links.filter((link) => !existsSync(new URL(link, folder)))).toEqual([])
  })
})

interface Node {
  readonly description?: string
  readonly properties?: Readonly<Record<string, Node>>
  readonly anyOf?: readonly Node[]
  readonly additionalProperties?: unknown
}

/** Every value by its path, groups included. */
function valuesOf(node: Node, path: string): (readonly [string, Node])[] {
  return [node, ...(node.anyOf ?? [])].flatMap(({ properties = {} }) =>
    Object.entries(properties).flatMap(([key, part]) => [
      [`${path}${key}`, part] as const,
      ...valuesOf(part, `${path}${key}.`),
    ]),
  )
}

describe('the schema', () => {
  const root = chartSchema() as Node
  const values = valuesOf(root, '')

  it('says of every value what it is', () => {
    expect(values.length).toBeGreaterThan(80)
    expect(values.filter(([, { description }]) => description === undefined).map(([path]) => path)).toEqual([])
  })

  it('is closed, but for what is Kubernetes own to judge', () => {
    const open = [['', root] as const, ...values].filter(
      ([, { properties, additionalProperties }]) => properties !== undefined && additionalProperties !== false,
    )
    expect(open.map(([path]) => path)).toEqual(['affinity', 'global'])
  })

  it('takes every setting of the injector but those that the chart makes', () => {
    const taken = Object.keys(root.properties?.config?.properties ?? {})
    expect(Object.keys(injectorSettingsSchema.shape).filter((key) => !taken.includes(key))).toEqual([
      'namespace',
      'image',
      'captureImage',
      'pullPolicy',
      'listen',
      'metrics',
      'certificate',
    ])
  })

  it('has defaults that the injector takes, and that differ from its own where they say so', () => {
    const { config } = parse(read('values.yaml'))
    const own = injectorSettingsSchema.parse({})
    expect(injectorSettingsSchema.parse(config)).toEqual({ ...own, spiffe: false })
    const { selfSigned } = parse(read('values.yaml')).certificate
    expect(injectorSettingsSchema.parse({ certificate: { source: 'self-signed', ...selfSigned } })).toEqual(own)
  })
})
