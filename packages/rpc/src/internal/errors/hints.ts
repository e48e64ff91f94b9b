// What an upstream says about its limits, read from its text. Only what it says: no number is guessed, and none is
// negative, fractional or beyond what a number holds.
import type { Kind } from "./kind.ts"

/** What would have been answered. */
export interface Hints {
  /** A span that the upstream proposes, or the most blocks that one query may span, both ends included. */
  readonly range?: { readonly from: number; readonly to: number } | { readonly blocks: number }
  /** The most addresses and topics that one query may have. */
  readonly addresses?: number
  /** The block that it does not have. */
  readonly block?: number
  /** The lowest block that it still has. */
  readonly earliest?: number
}

export const none: Hints = Object.freeze({})

/** Reads the hints that a kind can have from the upstream's text, which is in lower case. */
export const hintsOf = (kind: Kind, text: string): Hints => {
  switch (kind) {
    case "range":
      return rangeOf(text)
    case "range-addresses":
      return optional("addresses", capOf(text))
    case "missing":
      return { ...optional("block", numeral(block.exec(text)?.[1])), ...optional("earliest", earliestOf(text)) }
  }
  return none
}

/** Keeps what can be used of hints that somebody else made. */
export const sanitized = ({ addresses, block, earliest, range }: Hints): Hints => ({
  ...optional("range", range === undefined ? undefined : "blocks" in range ? blocks(range.blocks) : span(range)),
  ...optional("addresses", positive(addresses)),
  ...optional("block", natural(block)),
  ...optional("earliest", natural(earliest))
})

const rangeOf = (text: string): Hints => {
  const found = proposal.exec(text)
  if (found !== null) {
    const range = span({ from: numeral(found[1] ?? found[3]), to: numeral(found[2] ?? found[4]) })
    if (range !== undefined) return { range }
  }
  // A limit on results or bytes says nothing about blocks.
  return otherLimit.test(text) ? none : optional("range", blocks(capOf(text)))
}

/** "this block range should work: [0xA, 0xB]", "retry with the range A-B". */
const proposal =
  /(?:try with this|should work)[^[\n]{0,30}\[\s?(0x[0-9a-f]{1,14}|\d{1,16})\s?,\s?(0x[0-9a-f]{1,14}|\d{1,16})\s?\]|retry with the range (\d{1,16}) ?- ?(\d{1,16})/

const otherLimit = /results|\blogs? (?:matched|count)|\bbytes\b|\bresponse\b|larger than max \(/

const capOf = (text: string): number | undefined => {
  const found = compared.exec(text) ?? cap.exec(text)
  return found === null ? undefined : positive(Number(found[1]!.replaceAll(",", "")) * (found[2] === "k" ? 1_000 : 1))
}

/** "(500 > 100)": asked for, allowed. */
const compared = /\(\d{1,16} > (\d{1,16})\)/

/** A word for a limit and the next number: "max: 3500", "up to a 2K block range", "limited to 0 - 50 blocks". */
const cap =
  /\b(?:max(?:imum)?|limit(?:ed)?|up to|at most|exceeds?|smaller than|greater than|over|distance)\b[^\d,\n]{0,40}(?:0 - )?(\d[\d,]{0,15})(k?)\b/

const block = /\b(?:block|height)(?: number)? #?(0x[0-9a-f]{1,14}|\d{1,16})\b/

const earliest = /\b(?:earliest available|lowest height)(?: block)? is:? (0x[0-9a-f]{1,14}|\d{1,16})\b/

const earliestOf = (text: string): number | undefined => numeral(earliest.exec(text)?.[1])

const numeral = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : natural(Number(text))

const natural = (value: unknown): number | undefined =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined

const positive = (value: unknown): number | undefined => (value === 0 ? undefined : natural(value))

const blocks = (value: unknown): { readonly blocks: number } | undefined => {
  const blocks = positive(value)
  return blocks === undefined ? undefined : { blocks }
}

const span = (given: { readonly from: unknown; readonly to: unknown }) => {
  const [from, to] = [natural(given.from), natural(given.to)]
  return from === undefined || to === undefined || from > to ? undefined : { from, to }
}

const optional = <K extends keyof Hints>(key: K, value: Hints[K] | undefined): Pick<Hints, K> =>
  value === undefined ? none : ({ [key]: value } as Pick<Hints, K>)
