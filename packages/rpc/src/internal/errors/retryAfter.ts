// When an upstream wants to be asked again. In milliseconds; what is not a positive, finite time is no hint.

/** The longest of what the header, the error's data and the text say: to come back too early is to be told again. */
export const retryAfter = (
  header: string | undefined,
  data: unknown,
  text: string,
  now: number
): number | undefined => {
  const wait = Math.max(
    positive(header === undefined ? 0 : ofHeader(header, now)),
    positive(ofData(data)),
    positive(ofText(text))
  )
  return wait > 0 ? Math.ceil(wait) : undefined
}

const positive = (millis: number): number => (millis > 0 && Number.isFinite(millis) ? millis : 0)

/** Seconds, also with a fraction, or a date. */
const ofHeader = (header: string, now: number): number => {
  if (header.length > 64) return 0
  const value = header.trim()
  if (/^\d+(?:\.\d+)?$/.test(value)) return Number(value) * 1_000
  // The three forms of HTTP. The last names no zone and means GMT.
  if (/^[A-Z][a-z]+, .+ GMT$/.test(value)) return Date.parse(value) - now
  return /^[A-Z][a-z]{2} [A-Z][a-z]{2} [\d :]+$/.test(value) ? Date.parse(`${value} GMT`) - now : 0
}

/** Infura: `backoff_seconds`, formerly under `rate`. */
const ofData = (data: unknown): number => {
  const seconds = own(data, "backoff_seconds") ?? own(own(data, "rate"), "backoff_seconds")
  return typeof seconds === "number" || typeof seconds === "string" ? Number(seconds) * 1_000 : 0
}

const own = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined

/** "retry in 10s", "retry in 10m0s", "try again in 4ms", "retry after 3 seconds", "please wait 1 minute". */
const ofText = (text: string): number => {
  const found = asked.exec(text)
  if (found === null) return 0
  let millis = 0
  for (const [, amount, unit] of found[1]!.matchAll(part)) millis += Number(amount) * unitOf(unit)
  return millis
}

const asked =
  /\b(?:retry|try again|wait)(?:ing)?(?:[- ](?:in|after|for))?[ :]{1,2}((?:\d{1,9}(?:\.\d{1,9})? ?(?:[muµn]?s|milli\w{0,9}|sec\w{0,4}|m|min\w{0,4}|h|hour\w?|day\w?)?(?![a-z]) ?){1,4})/

const part = /(\d+(?:\.\d+)?) ?([a-zµ]*)/g

const unitOf = (unit: string | undefined): number => {
  if (unit === undefined || unit === "") return 1_000
  if (unit === "ms" || unit.startsWith("milli")) return 1
  if (unit.endsWith("s") && unit.length === 2) return unit === "ns" ? 1e-6 : 1e-3
  return { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit[0]!] ?? 0
}
