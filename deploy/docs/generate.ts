// npm run docs: writes what the documentation takes from the code.
import { readFileSync, writeFileSync } from 'node:fs'
import { valuesFile, valuesSchema, withValues } from '../helm/values-files.ts'
import { doorDocument } from './agents-door.ts'
import { configurationPage, schemaFile } from './configuration-page.ts'
import { limitsPage } from './limits-page.ts'
import { withMetrics } from './metrics-table.ts'
import { reasonsPage } from './reasons-page.ts'
import { recordsPage } from './records-page.ts'

const page = (name: string) => new URL(`../../docs/${name}`, import.meta.url)
const ofChart = (name: string) => new URL(`../helm/postern/${name}`, import.meta.url)

writeFileSync(page('agents-door.openapi.json'), doorDocument())
writeFileSync(page('configuration.md'), configurationPage())
writeFileSync(page('postern.schema.json'), schemaFile())
writeFileSync(page('limits.md'), limitsPage())
writeFileSync(page('reasons.md'), reasonsPage())
writeFileSync(page('records.md'), recordsPage())
writeFileSync(page('operations.md'), withMetrics(readFileSync(page('operations.md'), 'utf8')))
writeFileSync(ofChart('values.schema.json'), valuesSchema())
writeFileSync(ofChart('values.yaml'), valuesFile())
writeFileSync(ofChart('README.md'), withValues(readFileSync(ofChart('README.md'), 'utf8')))
