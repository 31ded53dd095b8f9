// node deploy/build/manifest.ts [values.yaml…]: the objects of the chart as one manifest, for kubectl.
import { findHelm } from '../helm/find-helm.ts'
import { renderManifest } from '../helm/render.ts'

const { helm, missing } = await findHelm({ path: process.env.PATH ?? '' })
if (helm === undefined) {
  console.error(`The chart cannot be rendered: ${missing}.`)
  process.exitCode = 69
} else {
  process.stdout.write(await renderManifest(helm, { values: process.argv.slice(2) }))
}
