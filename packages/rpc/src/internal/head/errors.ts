import { Outcome } from "@hawser/core"
import * as Data from "effect/Data"
import type { Inability } from "./capabilities.ts"

/** The upstream has not yet the block that the answer must know. */
export class Behind extends Data.TaggedError("Behind")<{
  readonly upstream: string
  /** The block that the answer must know. */
  readonly needed: number
  /** The upstream's newest, as far as it is known. */
  readonly head: number | undefined
  readonly [Outcome.TypeId]: Outcome.Verdict
}> {
  override get message(): string {
    return this.head === undefined
      ? `is not known to have block ${this.needed}`
      : `is at block ${this.head}, behind ${this.needed}`
  }
}

/** The upstream no longer has the block. Learned from its errors; lifted where nobody else can answer. */
export class Pruned extends Data.TaggedError("Pruned")<{
  readonly upstream: string
  readonly method: string
  /** The lowest block it is thought to have for this method. */
  readonly earliest: number
}> {
  readonly [Outcome.TypeId] = lastly

  override get message(): string {
    return `has no block below ${this.earliest} for ${this.method}`
  }
}

/** The upstream does not take such a request. Learned from its errors; lifted where nobody else can answer. */
export class Unsupported extends Data.TaggedError("Unsupported")<{
  readonly upstream: string
  readonly method: string
  /** `unsupported`: not at all. `plan`: not on our plan. `range`: not over so many blocks. */
  readonly kind: "unsupported" | "plan" | "range"
  /** The most blocks that it takes. */
  readonly blocks: number | undefined
}> {
  readonly [Outcome.TypeId] = lastly

  override get message(): string {
    if (this.kind === "range") return `takes ${this.method} over at most ${this.blocks} blocks`
    return this.kind === "plan" ? `has ${this.method} only on another plan` : `does not have ${this.method}`
  }
}

/** `null` from an upstream of which it says nothing: another may have what was asked for. */
export class NotFound extends Data.TaggedError("NotFound")<{ readonly upstream: string; readonly method: string }> {
  readonly [Outcome.TypeId] = nothingHere

  override get message(): string {
    return `has no answer to ${this.method}`
  }
}

export type HeadError = Behind | Pruned | Unsupported | NotFound

// What was learned may be wrong: if all refuse, the pool comes back and insists.
const lastly = Outcome.refusal(undefined, "wait")

const refused = Outcome.refusal()

const nothingHere = Outcome.verdict({ counts: "neutral", again: "elsewhere", ran: "no" })

// It has told so itself, and may know more the next time.
const shown = Outcome.verdict({ counts: "neutral", again: "anywhere" })

const verdicts = { first: lastly, last: refused, shown }

/** `first`: it may be waited for. `last`: it has been. `shown`: it was asked, and its answer was too old. */
export const behind = (upstream: string, needed: number, height: number, when: keyof typeof verdicts): Behind =>
  Outcome.stackless(
    () => new Behind({ upstream, needed, head: height < 0 ? undefined : height, [Outcome.TypeId]: verdicts[when] })
  )

export const unable = (upstream: string, method: string, why: Inability): Pruned | Unsupported =>
  Outcome.stackless(() =>
    why.kind === "pruned"
      ? new Pruned({ upstream, method, earliest: why.earliest })
      : new Unsupported({ upstream, method, kind: why.kind, blocks: why.kind === "range" ? why.blocks : undefined })
  )

export const notFound = (upstream: string, method: string): NotFound =>
  Outcome.stackless(() => new NotFound({ upstream, method }))
