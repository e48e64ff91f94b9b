// Whether an error asks for a smaller query, and for how small a one.
import { Call } from "@hawser/core"
import { ResponseError, TransportError } from "../../RpcError.ts"
import { Unsupported } from "../head/errors.ts"
import { type Piece, span } from "./query.ts"

/** Too many blocks or too much in them; or too many addresses and topics. */
export interface Refusal {
  readonly what: "blocks" | "addresses"
  /** How many would have done for somebody, if anybody said. */
  readonly most: number | undefined
  /** What is true of these upstreams whatever is asked for. */
  readonly limits: ReadonlyArray<{ readonly upstream: string; readonly what: Refusal["what"]; readonly most: number }>
}

/** Whether there is a refusal in an error: an upstream's own, or one among those of many. */
export const isRefusal = (error: unknown): boolean => causesOf(error).some((cause) => whatOf(cause) !== undefined)

/** What an error says to who asked for this piece. `undefined`: nothing that a smaller piece would help against. */
export const refusalOf = (error: unknown, piece: Piece): Refusal | undefined => {
  const rulings = causesOf(error).flatMap((cause) => rulingOf(cause, piece) ?? [])
  const what = rulings.some((ruling) => ruling.what === "blocks") ? "blocks" : rulings[0]?.what
  if (what === undefined) return undefined
  const size = sizeOf(what, piece)
  const same = rulings.filter((ruling) => ruling.what === what)
  // One that named no limit may do half.
  const most = Math.max(...same.map(({ named }) => named ?? Math.ceil(size / 2)))
  return {
    what,
    most: same.some(({ named }) => named === most) ? most : undefined,
    limits: rulings.flatMap(({ lasting, named, upstream, what }) =>
      lasting ? [{ upstream, what, most: named ?? Math.ceil(sizeOf(what, piece) / 2) }] : []
    )
  }
}

const sizeOf = (what: Refusal["what"], piece: Piece): number =>
  what === "blocks" ? span(piece) : (piece.addresses?.length ?? 1)

const causesOf = (error: unknown): ReadonlyArray<unknown> =>
  error instanceof Call.NoAnswer ? error.causes.flatMap(({ error }) => causesOf(error)) : [error]

interface Ruling {
  readonly upstream: string
  readonly what: Refusal["what"]
  /** Fewer than were asked for. */
  readonly named: number | undefined
  /** It is a limit of the upstream's, not of what is in these blocks. */
  readonly lasting: boolean
}

const rulingOf = (cause: unknown, piece: Piece): Ruling | undefined => {
  const what = whatOf(cause)
  if (what === undefined) return undefined
  const { upstream } = cause as { readonly upstream: string }
  // Not asked, for what it said before.
  if (cause instanceof Unsupported) {
    const { blocks } = cause
    return { upstream, what, named: blocks !== undefined && blocks < span(piece) ? blocks : undefined, lasting: false }
  }
  if (cause instanceof TransportError) return { upstream, what, named: undefined, lasting: false }
  const { hints, message } = cause as ResponseError
  if (what === "addresses") {
    const { addresses } = hints
    const named = addresses !== undefined && addresses < sizeOf(what, piece) ? addresses : undefined
    return { upstream, what, named, lasting: sizeOf(what, piece) > 1 }
  }
  const { range } = hints
  const blocks = range === undefined ? undefined : "blocks" in range ? range.blocks : span(range)
  const named = blocks !== undefined && blocks < span(piece) ? blocks : undefined
  const byCount = range !== undefined && "blocks" in range
  return { upstream, what, named, lasting: span(piece) > 1 && (byCount || !ofContent.test(message)) }
}

const whatOf = (cause: unknown): Refusal["what"] | undefined => {
  // More bytes than we take.
  if (cause instanceof TransportError) return cause.reason === "too-large" ? "blocks" : undefined
  if (cause instanceof Unsupported) return cause.kind === "range" ? "blocks" : undefined
  if (!(cause instanceof ResponseError)) return undefined
  if (cause.kind === "range-addresses") return "addresses"
  if (cause.kind !== "range" || ofBatch.test(cause.message)) return undefined
  return ofRequest.test(cause.message) && cause.hints.range === undefined ? "addresses" : "blocks"
}

/** A limit on what was found, not on where it was looked for. */
const ofContent = /results|\blogs?\b|response|bytes|time ?out|^limit exceeded/i

/** The request itself has too many bytes: fewer blocks make it no shorter. */
const ofRequest = /request (?:body|entity)|payload|content too large|^HTTP 413/i

/** Too many requests at once, whatever is in them. */
const ofBatch = /\bbatch\b|rpc calls/i
