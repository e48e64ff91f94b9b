/**
 * Estimates the bytes a JSON value takes in memory: one for each character of a text, eight for a number, sixteen
 * for each record and list, eight for each of their slots.
 *
 * Cheap rather than exact: of a list with more than 32 elements it weighs 32, evenly spaced, and scales up. Names of
 * fields are not counted, since records of one shape share them; nor is anything below 16 levels.
 */
export const weigh = (value: unknown): number => measure(value, maxDepth)

const maxDepth = 16
const sample = 32

const measure = (value: unknown, depth: number): number => {
  if (typeof value === "string") return 16 + value.length
  if (typeof value !== "object" || value === null) return 8
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return 16 + value.byteLength
  if (depth === 0) return 16
  return Array.isArray(value) ? list(value, depth - 1) : record(value, depth - 1)
}

const list = (value: ReadonlyArray<unknown>, depth: number): number => {
  const { length } = value
  const count = Math.min(length, sample)
  let sum = 0
  for (let i = 0; i < count; i++) sum += measure(value[Math.floor((i * length) / count)], depth)
  return 16 + 8 * length + (count === 0 ? 0 : (sum / count) * length)
}

const record = (value: object, depth: number): number => {
  let sum = 16
  for (const name in value) sum += 8 + measure(value[name as keyof typeof value], depth)
  return sum
}
