// The manifest for those without Helm is what the chart renders.
import { describe, expect, it } from 'vitest'
import { renderChart, renderManifest } from '../../deploy/helm/render.ts'
import { helm, isMissing } from './helm.ts'
import { objectsOf } from './objects.ts'

const installation = new URL('../../deploy/examples/kubernetes/injector.yaml', import.meta.url).pathname

describe.skipIf(isMissing)('the plain manifest', () => {
  it('is what the chart renders with its defaults', async () => {
    await expect(await renderManifest(helm)).toMatchFileSnapshot(installation)
  })

  it('has a namespace besides, and lacks nothing but the labels of Helm', async () => {
    const [namespace, ...objects] = objectsOf(await renderManifest(helm))
    expect(namespace).toMatchObject({ kind: 'Namespace', metadata: { name: 'postern' } })
    const withoutHelm = JSON.stringify(objectsOf(await renderChart(helm)), (key, value) =>
      ['helm.sh/chart', 'app.kubernetes.io/managed-by'].includes(key) ? undefined : value,
    )
    expect(objects).toEqual(JSON.parse(withoutHelm))
  })
})
