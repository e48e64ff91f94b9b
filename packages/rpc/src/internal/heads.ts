// What is known of the chain's head, as far as those need it who keep or route answers.

/** A block, as far as it is known. */
export interface Block {
  readonly number: number
  readonly hash: string
  readonly parentHash: string | undefined
  /** Seconds, as the chain says. */
  readonly timestamp: number | undefined
}

/** What happened to the chain of a pool. */
export type Change =
  | { readonly type: "head" | "safe" | "finalized"; readonly block: Block }
  /** Blocks from this number on are no longer those that were seen. */
  | { readonly type: "reorg"; readonly from: number }

/** The chain as the upstreams of a pool have shown it. Plain reads; learning is its owner's. */
export interface Heads {
  readonly latest: () => Block | undefined
  readonly safe: () => Block | undefined
  readonly finalized: () => Block | undefined
  /** The hash of a recent block of the canonical chain, if it was seen. */
  readonly hashAt: (number: number) => string | undefined
  /** Calls `listener` for each change, synchronously. Returns the function that stops it. */
  readonly on: (listener: (change: Change) => void) => () => void
}
