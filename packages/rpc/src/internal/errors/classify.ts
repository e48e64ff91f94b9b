import { type Hints, hintsOf, none, sanitized } from "./hints.ts"
import { isRejected, type Kind, meanings, pauses } from "./kind.ts"
import { retryAfter } from "./retryAfter.ts"
import { isRevert } from "./revert.ts"
import { compiled, matches, type Row } from "./row.ts"
import { allText, codeOf, errorText, type Reply } from "./said.ts"

/** `retryAfter` in milliseconds. */
export interface Found {
  readonly kind: Kind
  readonly retryAfter: number | undefined
  readonly hints: Hints
  readonly ran: "maybe" | "no"
}

/** Never throws, whatever was sent. `now` is the wall clock, for dates. */
export const classify = (reply: Reply, now: number, rows: ReadonlyArray<Row>): Found => {
  const code = codeOf(reply)
  const said = errorText(reply)
  if (reply.error !== undefined && isRevert(code, said, reply.error.data)) {
    return { kind: "revert", retryAfter: undefined, hints: none, ran: meanings.revert.ran }
  }
  const text = allText(reply, said)
  const row = find(rows, reply, code, said, text)
  const kind = row?.kind ?? "transient"
  const asked = pauses.has(kind) ? retryAfter(reply.retryAfter, reply.error?.data, text, now) : undefined
  return {
    kind,
    retryAfter: (asked ?? row?.pause ?? meanings[kind].pause) || undefined,
    hints: isRejected(kind) ? none : hints(row, kind, text),
    ran: row?.ran ?? meanings[kind].ran
  }
}

const find = (
  rows: ReadonlyArray<Row>,
  reply: Reply,
  code: number | undefined,
  said: string,
  text: string
): Row | undefined => {
  for (const candidate of compiled(rows)) if (matches(candidate, reply, code, said, text)) return candidate.row
  return undefined
}

const hints = (row: Row | undefined, kind: Kind, text: string): Hints => {
  if (row?.hints === undefined) return hintsOf(kind, text)
  try {
    return sanitized(row.hints(text))
  } catch {
    return none
  }
}
