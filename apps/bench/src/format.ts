/** Rounded down, so that 100 % is all. */
export const percent = (part: number, whole: number): string => {
  if (whole === 0) return "–"
  if (part === whole) return "100 %"
  const digits = part / whole >= 0.99 ? 2 : 1
  return `${(Math.floor((part / whole) * 100 * 10 ** digits + 1e-9) / 10 ** digits).toFixed(digits)} %`
}

/** Milliseconds; `null` is never. */
export const time = (millis: number | null): string => {
  if (millis === null) return "never"
  if (millis < 10) return `${millis.toFixed(1)} ms`
  return millis < 1000 ? `${Math.round(millis)} ms` : `${(millis / 1000).toFixed(1)} s`
}

export const count = (value: number): string => Math.round(value).toLocaleString("en")

/** Two or three digits that mean something. */
export const number = (value: number): string => (value >= 100 ? count(value) : value.toFixed(value >= 10 ? 1 : 2))
