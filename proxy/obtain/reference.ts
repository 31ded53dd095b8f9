// Reads what a `${env:NAME}` or `${file:/path}` of the configuration refers to. Asked at each use, so that a replaced file counts.
import type { SecretReference } from '../config/scalars.ts'
import { Refusal } from '../refusal.ts'
import { readSmallFile } from './small-file.ts'
import type { Surroundings } from './surroundings.ts'

/** @throws Refusal `credential_unavailable` that names the variable or the path */
export async function readReference(
  reference: SecretReference,
  { environment }: Pick<Surroundings, 'environment'>,
): Promise<string> {
  const text = reference.from === 'env' ? environment[reference.name] : await readSmallFile(reference.path)
  if (text === undefined || text === '') throw new Refusal('credential_unavailable', { detail: absent(reference) })
  return text
}

function absent(reference: SecretReference): string {
  return reference.from === 'env'
    ? `the environment variable ${reference.name} is not set`
    : `${reference.path} is empty`
}
