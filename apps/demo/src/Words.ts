/** Numbers as people read them, and columns. */

export const count = (value: number): string => value.toLocaleString("en-US")

export const percent = (share: number, of: number): string => {
  if (of === 0) return "–"
  // All but one in ten thousand is not all.
  const tenths = share === of ? 1000 : Math.min(999, Math.round((share / of) * 1000))
  return `${((share > 0 ? Math.max(1, tenths) : 0) / 10).toFixed(1)} %`
}

export const time = (millis: number): string =>
  millis === Infinity ? "never" : millis < 1000 ? `${Math.round(millis)} ms` : `${(millis / 1000).toFixed(1)} s`

/** A negative width is that of a column whose text stands on the left. */
export const row = (widths: ReadonlyArray<number>, cells: ReadonlyArray<string>): string =>
  cells
    .map((cell, i) => {
      const width = widths[i] ?? 0
      return width < 0 ? cell.padEnd(-width) : cell.padStart(width)
    })
    .join("  ")
    .trimEnd()
