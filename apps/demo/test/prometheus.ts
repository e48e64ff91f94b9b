/** A strict reader of the Prometheus text format: throws at whatever a scraper would refuse or misread. */
export interface Series {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const name = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const line = /^([^{ ]+)(?:\{(.*)\})? (\S+)$/
const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/y

export const parse = (text: string): ReadonlyArray<Series> => {
  if (!text.endsWith("\n")) throw new Error("the last line does not end")
  const types = new Map<string, string>()
  const seen = new Set<string>()
  const all: Array<Series> = []
  for (const text_ of text.slice(0, -1).split("\n")) {
    const [, kind, of, rest] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(text_) ?? []
    if (kind === "TYPE") {
      if (types.has(of!)) throw new Error(`${of} has two types`)
      if (!["counter", "gauge", "histogram"].includes(rest!)) throw new Error(`${rest} is no type`)
      types.set(of!, rest!)
    }
    if (kind !== undefined) continue
    const match = line.exec(text_)
    if (match === null || !name.test(match[1]!)) throw new Error(`no sample: ${text_}`)
    const series = { name: match[1]!, labels: labels(match[2] ?? ""), value: number(match[3]!) }
    const family = types.has(series.name) ? series.name : series.name.replace(/_(?:bucket|sum|count)$/, "")
    if (!types.has(family)) throw new Error(`${series.name} has no type`)
    const key = `${series.name}{${match[2] ?? ""}}`
    if (seen.has(key)) throw new Error(`${key} comes twice`)
    seen.add(key)
    all.push(series)
  }
  return all
}

const labels = (text: string): Record<string, string> => {
  const found: Record<string, string> = {}
  label.lastIndex = 0
  while (label.lastIndex < text.length) {
    const match = label.exec(text)
    if (match === null) throw new Error(`no labels: ${text}`)
    found[match[1]!] = match[2]!
  }
  return found
}

const number = (text: string): number => {
  const value = text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text)
  if (Number.isNaN(value) && text !== "NaN") throw new Error(`no number: ${text}`)
  return value
}
