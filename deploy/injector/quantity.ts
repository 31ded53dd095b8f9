// Compares quantities of Kubernetes: the API server writes `0.5` as `500m`.

const factors: Readonly<Record<string, number>> = {
  m: 0.001,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
}

/** @returns whether both say the same amount; a form that is not read is only the same as itself */
export function sameQuantity(one: unknown, other: unknown): boolean {
  if (one === other) return true
  const [a, b] = [amount(one), amount(other)]
  return a !== undefined && b !== undefined && Math.abs(a - b) < 1e-9 * Math.max(1, a)
}

function amount(quantity: unknown): number | undefined {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?)([a-zA-Z]*)$/.exec(String(quantity)) ?? []
  const factor = Object.hasOwn(factors, unit) ? factors[unit] : undefined
  return digits === '' || factor === undefined ? undefined : Number(digits) * factor
}
