// What verification found, in sentences.
import { harmless, type Paint } from '../terminal-text.ts'
import type { Finding, Report, SignerReport, TrailReport } from './findings.ts'

/** @returns lines, ready to be printed */
export function readableReport(report: Report, paint: Paint): string[] {
  const { ok, records, files, findings, more, notes, trails, signers } = report
  const verdict = ok
    ? paint(`${plural(records, 'record')} in ${plural(files.length, 'file')}: as written.`, 'green')
    : paint(
        `${plural(records, 'record')} in ${plural(files.length, 'file')}: ${plural(findings.length + more, 'finding')}.`,
        'red',
      )
  return [
    verdict,
    ...findings.map((finding) => harmless(findingText(finding))),
    ...(more > 0 ? [`and ${more} more`] : []),
    ...notes.map(({ file, line, message }) => harmless(`${file} line ${line}: ${message}.`)),
    ...(trails.length > mostTrails ? [`${trails.length} trails; the last ${mostTrails}:`] : []),
    ...trails.slice(-mostTrails).map(trailText),
    ...signerTexts(signers).map(harmless),
  ]
}

/** A file that commands share has one for each of them. */
const mostTrails = 10

function findingText({ kind, file, line, message, expected, found }: Finding): string {
  const told = [expected === undefined ? '' : `expected ${expected}`, found === undefined ? '' : `found ${found}`]
  const facts = told.filter((text) => text !== '').join(', ')
  return `${kind.toUpperCase()} ${file} line ${line}: ${message}${facts === '' ? '' : ` (${facts})`}.`
}

function trailText({ first, last, head, signed, unsigned }: TrailReport): string {
  const extent = `Records ${first} to ${last}`
  if (signed === undefined) return `${extent}: no valid checkpoint; only hashed. Head ${head}`
  const rest =
    unsigned === 0
      ? 'nothing stands after it'
      : unsigned === 1
        ? 'the record after it is only hashed'
        : `the ${unsigned} records after it are only hashed`
  return `${extent}: signed up to ${signed.seq} at ${signed.time}; ${rest}. Head ${head}`
}

/** Keys change by the hour; whose they are does not. */
function signerTexts(signers: readonly SignerReport[]): string[] {
  const byWhom = new Map<string, SignerReport[]>()
  for (const signer of signers) {
    const who = `${signer.trust} ${signer.spiffe_id ?? ''}`
    byWhom.set(who, [...(byWhom.get(who) ?? []), signer])
  }
  return [...byWhom.values()].flatMap((same) => signerText(same) ?? [])
}

function signerText(same: readonly SignerReport[]): string | undefined {
  const [first] = same
  if (first === undefined) return undefined
  const { spiffe_id, key_thumbprint, trust } = first
  const count = plural(
    same.reduce((sum, { checkpoints }) => sum + checkpoints, 0),
    'checkpoint',
  )
  const keys = same.length === 1 ? `key ${key_thumbprint}` : `${same.length} keys, the first ${key_thumbprint}`
  switch (trust) {
    case 'bundle':
      return `${count} signed by ${spiffe_id}, as the bundle vouches (${keys}).`
    case 'claimed':
      return `${count} signed by ${spiffe_id} by its own word; --bundle would prove it (${keys}).`
    case 'ephemeral':
      return `${count} signed without identity, which proves that one process wrote them and not which (${keys}).`
  }
}

const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`
