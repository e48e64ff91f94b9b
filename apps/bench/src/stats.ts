/** The smallest value that this share of all values does not exceed (nearest rank); `undefined` of none. */
export const quantile = (values: ReadonlyArray<number>, share: number): number | undefined => {
  const sorted = [...values].toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** How often each of the most frequent occurs, most frequent first. */
export const tally = (values: Iterable<string>, most = 5): Record<string, number> => {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return Object.fromEntries([...counts].toSorted(([, a], [, b]) => b - a).slice(0, most))
}

export const round = (value: number, digits = 3): number => Number(value.toPrecision(digits))
