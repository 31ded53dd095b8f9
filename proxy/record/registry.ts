// Counters, gauges and histograms with bounded labels, in Prometheus text exposition format 0.0.4.

// A label of a rule comes from the configuration; this bounds what a large one costs the scraper.
export const mostSeries = 2_000
const separator = '\0'

export interface Described {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
}

type Reading = number | undefined | Iterable<readonly [labels: readonly string[], value: number]>

class Family<Series> {
  readonly about: Described
  readonly #make: () => Series
  readonly #series = new Map<string, Series>()

  constructor(about: Described, make: () => Series) {
    this.about = about
    this.#make = make
  }

  /** The series of these label values; beyond the bound, the one whose labels all say `other`. */
  of(values: readonly string[]): Series {
    const key = values.length === 1 ? (values[0] ?? '') : values.join(separator)
    const known = this.#series.get(key)
    if (known !== undefined) return known
    if (this.#series.size < mostSeries) return this.#add(key)
    const other = this.about.labels.map(() => 'other').join(separator)
    return this.#series.get(other) ?? this.#add(other)
  }

  #add(key: string): Series {
    const made = this.#make()
    this.#series.set(key, made)
    return made
  }

  *[Symbol.iterator](): Iterator<readonly [labels: readonly string[], series: Series]> {
    for (const [key, series] of this.#series) yield [this.about.labels.length === 0 ? [] : key.split(separator), series]
  }
}

/** Values by label; a counter or a gauge, as its description says. */
class Values {
  readonly #about: Described
  readonly #series: Family<{ value: number }>
  #read: (() => Reading) | undefined

  constructor(about: Described) {
    this.#about = about
    this.#series = new Family(about, () => ({ value: 0 }))
  }

  /** @param labels values in the order in which the names were given */
  add(amount: number, ...labels: readonly string[]): void {
    this.#series.of(labels).value += amount
  }

  set(value: number, ...labels: readonly string[]): void {
    this.#series.of(labels).value = value
  }

  /** From now on the value is read at each scrape; undefined: there is none now. */
  from(read: () => Reading): void {
    this.#read = read
  }

  text(): string {
    let text = header(this.#about)
    for (const [labels, value] of this.#samples()) text += sample(this.#about, '', labels, value)
    return text
  }

  *#samples(): Iterable<readonly [labels: readonly string[], value: number]> {
    if (this.#read === undefined) {
      for (const [labels, { value }] of this.#series) yield [labels, value]
      return
    }
    const read = this.#read()
    if (typeof read === 'number') yield [[], read]
    else if (read !== undefined) yield* read
  }
}

/** Only grows. */
export type Counter = Pick<Values, 'add' | 'from'>
export type Gauge = Pick<Values, 'add' | 'set' | 'from'>

export class Histogram {
  readonly #about: Described
  readonly #bounds: readonly number[]
  readonly #counts: Float64Array
  #sum = 0

  /** @param bounds upper bounds, ascending, without infinity */
  constructor(about: Described, bounds: readonly number[]) {
    this.#about = about
    this.#bounds = bounds
    this.#counts = new Float64Array(bounds.length + 1)
  }

  observe(value: number): void {
    let index = 0
    while (index < this.#bounds.length && value > (this.#bounds[index] ?? 0)) index += 1
    this.#counts[index] = (this.#counts[index] ?? 0) + 1
    this.#sum += value
  }

  text(): string {
    const about = this.#about
    let text = header(about)
    let total = 0
    for (const [index, count] of this.#counts.entries()) {
      total += count
      const bound = this.#bounds[index]
      text += `${about.name}_bucket{le="${bound === undefined ? '+Inf' : bound}"} ${total}\n`
    }
    return `${text}${sample(about, '_sum', [], this.#sum)}${sample(about, '_count', [], total)}`
  }
}

export class Registry {
  readonly #all: { readonly about: Described; text(): string }[] = []

  counter(name: string, help: string, labels: readonly string[] = []): Counter {
    const about: Described = { name, type: 'counter', help, labels }
    const counter = this.#keep(about, new Values(about))
    // One without labels is there from the start, at zero.
    if (labels.length === 0) counter.add(0)
    return counter
  }

  gauge(name: string, help: string, labels: readonly string[] = []): Gauge {
    const about: Described = { name, type: 'gauge', help, labels }
    return this.#keep(about, new Values(about))
  }

  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const about: Described = { name, type: 'histogram', help, labels: [] }
    return this.#keep(about, new Histogram(about, bounds))
  }

  text(): string {
    return this.#all.map((metric) => metric.text()).join('')
  }

  describe(): Described[] {
    return this.#all.map(({ about }) => about)
  }

  #keep<Metric extends { text(): string }>(about: Described, metric: Metric): Metric {
    if (this.#all.some(({ about: { name } }) => name === about.name)) throw new Error(`${about.name} is there already`)
    this.#all.push({ about, text: () => metric.text() })
    return metric
  }
}

function header({ name, help, type }: Described): string {
  return `# HELP ${name} ${help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}\n# TYPE ${name} ${type}\n`
}

function sample(about: Described, suffix: string, values: readonly string[], value: number): string {
  const labels = about.labels.map((label, index) => `${label}="${escaped(values[index] ?? '')}"`)
  return `${about.name}${suffix}${labels.length === 0 ? '' : `{${labels.join(',')}}`} ${number(value)}\n`
}

const escaped = (text: string) => text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')

const number = (value: number) =>
  value === Number.POSITIVE_INFINITY ? '+Inf' : value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value)
