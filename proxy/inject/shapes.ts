// What stand-ins look like. SDKs check little, but some refuse a key that does not begin, or is not as long, as theirs.

export interface Shape {
  readonly prefix: string
  /** Characters after the prefix. */
  readonly length: number
  /** Header field in which the SDK sends the key. */
  readonly field: string
}

export const shapeNames = [
  'plain',
  'openai',
  'anthropic',
  'github',
  'gitlab',
  'google',
  'huggingface',
  'slack',
  'stripe',
] as const

const length = 36

const shapes: Readonly<Record<(typeof shapeNames)[number], Shape>> = {
  plain: { prefix: 'standin-', length, field: 'authorization' },
  openai: { prefix: 'sk-proj-', length, field: 'authorization' },
  anthropic: { prefix: 'sk-ant-api03-', length, field: 'x-api-key' },
  // ghp_ and 36 characters
  github: { prefix: 'ghp_', length: 36, field: 'authorization' },
  gitlab: { prefix: 'glpat-', length, field: 'private-token' },
  // AIza and 35 characters
  google: { prefix: 'AIza', length: 35, field: 'x-goog-api-key' },
  huggingface: { prefix: 'hf_', length, field: 'authorization' },
  slack: { prefix: 'xoxb-', length, field: 'authorization' },
  stripe: { prefix: 'sk_test_', length, field: 'authorization' },
}

/** @param named a name of a shape, or the characters that a stand-in is to begin with */
export function shapeOf(named: string): Shape {
  const known = shapeNames.find((name) => name === named)
  return known === undefined ? { ...shapes.plain, prefix: named } : shapes[known]
}
