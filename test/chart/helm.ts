// The Helm of these tests, and the sets of values that they render.
import { readdirSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findHelm } from '../../deploy/helm/find-helm.ts'

const found = await findHelm({ path: process.env.PATH ?? '' })
if (found.missing !== undefined) console.log(`The chart is not tried: ${found.missing}.`)

/** Nothing is tried without one. */
export const isMissing = found.missing !== undefined
export const helm = found.helm ?? ''

const folder = fileURLToPath(new URL('./values/', import.meta.url))

/** Each `values/NAME.yaml`. */
export const sets = readdirSync(folder)
  .sort()
  .map((file) => ({ name: basename(file, '.yaml'), file: `${folder}${file}` }))
