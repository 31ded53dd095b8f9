// The version of this program, as package.json says.
import { createRequire } from 'node:module'

const { version: stated }: { version: string } = createRequire(import.meta.url)('../package.json')

export const version = stated
