// What a reply to a batch means: for each request in it, and for the next batch.
import type { Reply } from "./dispatch.ts"
import type { Kind } from "./errors/kind.ts"
import { accepted, type Failed, type JsonRpcError, malformed, notJson, type Outcome, parse, readItem } from "./reply.ts"

/** One outcome for each request that was answered, or one for all. */
export type BatchOutcome =
  | { readonly kind: "each"; readonly outcomes: ReadonlyMap<number, Outcome> }
  | { readonly kind: "whole"; readonly outcome: Failed }

/**
 * Reads a reply to the requests with these ids. Answers are matched by id and nothing else: those under foreign ids, or
 * under none, are nobody's. Two under one id are no answer, for one of them is another's.
 */
export const readBatch = (ids: { readonly has: (id: number) => boolean }, size: number, reply: Reply): BatchOutcome => {
  const ok = accepted(reply)
  const document = parse(reply)
  if (document === undefined) return whole(notJson(reply))
  if (!Array.isArray(document)) return readLone(ids, document, ok)
  const outcomes = new Map<number, Outcome>()
  let nobodys: JsonRpcError | undefined
  for (const item of document) {
    const id = idOf(item)
    if (id === undefined || !ids.has(id)) {
      nobodys ??= unclaimed(item)
      continue
    }
    outcomes.set(id, outcomes.has(id) ? ambiguous : readItem(item, ok, ours))
  }
  if (outcomes.size === 0) return whole(nobodys === undefined ? nothing : { kind: "error", error: nobodys })
  // The protocol has no word for the refusal of a batch. Geth's is an error for its first request, in a list of its own.
  const [only] = outcomes.values()
  if (document.length === 1 && size > 1 && only!.kind === "error" && blamesBatch(only!.error)) return whole(only!)
  return { kind: "each", outcomes }
}

/** The outcome of a request that nothing in the list answers. */
export const missing: Failed = malformed("a list of replies without one to this request")

const ambiguous: Failed = malformed("two replies to one request of a batch")

const nothing: Failed = malformed("a list of replies without one to any request of the batch")

const whole = (outcome: Failed): BatchOutcome => ({ kind: "whole", outcome })

const ours = (): boolean => true

const readLone = (ids: { readonly has: (id: number) => boolean }, document: unknown, ok: boolean): BatchOutcome => {
  const id = idOf(document)
  const known = id !== undefined && ids.has(id)
  const outcome = readItem(document, ok, () => known)
  // An error stands for all, whichever of them it names.
  return outcome.kind === "result" ? { kind: "each", outcomes: new Map([[id!, outcome]]) } : whole(outcome)
}

const idOf = (item: unknown): number | undefined => {
  if (typeof item !== "object" || item === null) return undefined
  const { id } = item as { readonly id?: unknown }
  if (typeof id === "number") return id
  return typeof id === "string" && /^[1-9]\d{0,15}$/.test(id) ? Number(id) : undefined
}

/** An error that names no request. */
const unclaimed = (item: unknown): JsonRpcError | undefined => {
  const outcome = readItem(item, true, () => false)
  return outcome.kind === "error" ? outcome.error : undefined
}

/** What an error in answer to a whole batch tells about batches. */
export type Sign =
  /** The node takes so many requests at most, one if it takes no batches. None of these was run. */
  | { readonly most: number }
  /** It is in trouble. One of the requests, or their number, may have caused it. */
  | "failed"
  /** Nothing: a limit, a key, a node that is syncing. Each request would have been told the same. */
  | "passing"

/** Reads the sign of an error to `size` requests. `kind` is what it is as the answer to one. */
export const signOf = (error: JsonRpcError | undefined, kind: Kind, size: number, { body, status }: Reply): Sign => {
  // A gateway's page about its own trouble says nothing about ours.
  const page = status < 500 ? body.slice(0, 4_096) : ""
  const text = error === undefined ? page : textOf(error)
  if (status === 413 || tooMany.test(text)) return { most: mostOf(error, size) ?? Math.max(1, size >> 1) }
  if (batches.test(text)) return none
  if (kind === "rate" || kind === "quota" || kind === "syncing") return "passing"
  if (shapes.has(status)) return none
  if (kind === "auth") return "passing"
  return kind === "transient" ? "failed" : none
}

const none: Sign = { most: 1 }

/** Whether the error of one request is about the batch that it was in. */
export const blamesBatch = (error: JsonRpcError | undefined): boolean => {
  const text = textOf(error)
  return batches.test(text) || tooMany.test(text) || sharedRoom.test(text)
}

/** How many requests a batch may have, if the error says so: fewer than were too many. */
const mostOf = (error: JsonRpcError | undefined, size: number): number | undefined => {
  const numbers = Array.from(textOf(error).matchAll(/\b\d{1,6}\b/g), ([digits]) => Number(digits))
  const below = numbers.filter((number) => number > 0 && number < size)
  return below.length === 0 ? undefined : Math.max(...below)
}

const textOf = (error: JsonRpcError | undefined): string =>
  typeof error?.message === "string" ? error.message.slice(0, 4_096) : ""

const batches = /\bbatch/i

const tooMany =
  /\bbatch[^.\n]{0,60}\b(?:size|large|long|limit|many|max\w*|exceed\w*)|\b(?:too (?:many|large|long)|max\w*|exceed\w*|limit\w*)\b[^.\n]{0,60}\bbatch|too many rpc calls|(?:body|entity|payload) (?:is )?too large/i

// Geth gives the bytes of a reply to a batch to its first requests, and this to the others.
const sharedRoom = /response too large/i

// What the HTTP status says of a body that is a list. A wrong key may be told so, too; then each is told again, alone.
const shapes: ReadonlySet<number> = new Set([400, 403, 405, 406, 415, 422, 501])
