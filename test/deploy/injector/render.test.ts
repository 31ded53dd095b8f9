import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { lineDiff } from '../../../deploy/injector/line-diff.ts'
import { render } from '../../../deploy/injector/render.ts'
import { namespace, pod, settings, sound } from './pods.ts'

const template = { spec: { containers: [{ name: 'agent', image: 'x', securityContext: sound }] } }
const documents = (yaml: string) => parseAllDocuments(yaml).map((document) => document.toJS())

describe('what is rendered', () => {
  it.each([
    ['Pod', pod()],
    ['Deployment', { kind: 'Deployment', metadata: { name: 'x' }, spec: { template } }],
    ['CronJob', { kind: 'CronJob', metadata: { name: 'x' }, spec: { jobTemplate: { spec: { template } } } }],
    ['PodTemplate', { kind: 'PodTemplate', metadata: { name: 'x' }, template }],
    ['List', { kind: 'List', items: [{ kind: 'Job', metadata: { name: 'x' }, spec: { template } }] }],
  ])('has the proxy in the pods of a %s', (_, object) => {
    const { yaml, pods } = render(JSON.stringify(object), namespace(), settings)
    expect(pods).toHaveLength(1)
    expect(JSON.stringify(documents(yaml))).toContain('"name":"postern-init"')
  })

  it('keeps other documents, and the order of members', () => {
    const { yaml, pods } = render(
      'kind: ConfigMap\ndata: { b: "1", a: "2" }\n---\n---\nkind: Thing\nspec: { template: {} }\n',
      namespace(),
      settings,
    )
    expect(pods).toEqual([])
    expect(documents(yaml)).toEqual([
      { kind: 'ConfigMap', data: { b: '1', a: '2' } },
      { kind: 'Thing', spec: { template: {} } },
    ])
    const one = render(
      'kind: Pod\nspec:\n  restartPolicy: Never\n  containers: []\nmetadata: { name: x }\n',
      namespace(),
      settings,
    )
    expect(one.yaml).toMatch(/^kind: Pod\nspec:\n {2}restartPolicy: Never\n {2}containers: \[\]\n/)
  })

  it('leaves a pod of an excluded namespace, which it names itself', () => {
    const { pods } = render(JSON.stringify(pod({ metadata: { namespace: 'kube-system' } })), namespace(), settings)
    expect(pods[0]?.skipped).toBe('namespace_excluded')
  })

  it('is an error where it is no YAML, and nothing where there is nothing', () => {
    expect(() => render('a: [}', namespace(), settings)).toThrow()
    expect(render('', namespace(), settings)).toEqual({ yaml: '', pods: [] })
  })
})

describe('the lines that differ', () => {
  it('are shown with what stands around them', () => {
    const lines = [...'abcdefghij']
    const after = lines.toSpliced(2, 1, 'X').toSpliced(8, 1)
    expect(lineDiff(lines.join('\n'), after.join('\n'))).toEqual([
      ...[' a', ' b', '-c', '+X', ' d', ' e'],
      '@@',
      ...[' g', ' h', '-i', ' j'],
    ])
    expect(lineDiff('a', 'a')).toEqual([])
  })

  it('lead from one text to the other', () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'c', ''), { maxLength: 4 }).map((lines) => lines.join('\n'))
    fc.assert(
      fc.property(text, text, (before, after) => {
        const lines = lineDiff(before, after).filter((line) => line !== '@@')
        expect(lines.length === 0).toBe(before === after)
        const side = (sign: string) => {
          const kept = lines.filter((line) => line[0] === ' ' || line[0] === sign)
          return kept.map((line) => line.slice(1)).join('\n')
        }
        expect(before).toContain(side('-'))
        expect(after).toContain(side('+'))
      }),
    )
  })
})
