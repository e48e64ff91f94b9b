/**
 * All that a pattern becomes when one alternative of one of its alternations is taken out, at any depth.
 *
 * Knows what the patterns of the table use: groups, classes, escapes.
 */
export const without = (source: string): ReadonlyArray<readonly [alternative: string, rest: string]> =>
  alternations(source, 0, source.length).flatMap((cuts) =>
    cuts.slice(0, -1).map((from, i) => {
      const to = cuts[i + 1]! - 1
      const last = i === cuts.length - 2
      const rest = last ? source.slice(0, from - 1) + source.slice(to) : source.slice(0, from) + source.slice(to + 1)
      return [source.slice(from, to), rest] as const
    })
  )

/** Where the alternatives of each alternation between `start` and `end` begin, and one past the last's end. */
const alternations = (source: string, start: number, end: number): ReadonlyArray<ReadonlyArray<number>> => {
  const cuts = [start]
  const inner: Array<ReadonlyArray<number>> = []
  for (let i = start; i < end; i++) {
    if (source[i] === "\\") i++
    else if (source[i] === "[") i = closing(source, i, "[", "]")
    else if (source[i] === "|") cuts.push(i + 1)
    else if (source[i] === "(") {
      const close = closing(source, i, "(", ")")
      const head = /^\((?:\?(?:[:=!]|<[=!]))?/.exec(source.slice(i))![0].length
      inner.push(...alternations(source, i + head, close))
      i = close
    }
  }
  return cuts.length === 1 ? inner : [[...cuts, end + 1], ...inner]
}

const closing = (source: string, open: number, left: string, right: string): number => {
  let depth = 0
  for (let i = open; ; i++) {
    if (source[i] === "\\") i++
    else if (source[i] === left) depth++
    else if (source[i] === right && --depth === 0) return i
  }
}
