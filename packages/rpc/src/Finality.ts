/**
 * How long an answer is true, by what it depends on.
 *
 * - What never changes (the chain's identity, whatever is addressed by a block's hash, blocks at or below the finalized
 *   one) is kept as long as there is room.
 * - What is addressed by the number of a block above it is kept until a reorganisation touches that block, and no longer
 *   than `unfinal`; a transaction and its receipt likewise, by the block in which they are.
 * - What depends on the newest block is kept until the next one comes, and no longer than `latest`: by default it is only
 *   shared by those who ask at the same time. `safe` and `finalized` are kept until they move, and no longer than `unfinal`
 *   or a minute.
 * - Nothing else is kept: no `null`, no answer about `pending`, none of a method that is not known, and, above the
 *   finalized block, none that contradicts the chain as it was seen. As long as no head was seen, only what never changes.
 */
import { JsonRpc, Options as Read } from "@hawser/core"
import type * as Duration from "effect/Duration"
import { blocksOf } from "./internal/block.ts"
import type { Block, Change, Heads } from "./internal/heads.ts"
import { type Method, methods } from "./internal/methods.ts"
import { isEmptyList, type Seen, seenIn } from "./internal/seen.ts"
import * as Key from "./Key.ts"
import { numberOf, quantity } from "./internal/quantity.ts"

export interface Options {
  /** The chain, for keys that several chains' caches can share, as in a store. Default: keys do not say it. */
  readonly chainId?: number | undefined
  /**
   * How long an answer about the newest block is kept at most, where nobody tells of a newer one. Default 0: what was true
   * a moment ago is asked again.
   */
  readonly latest?: Duration.Input | undefined
  /**
   * How long an answer about a block above the finalized one is kept at most: a reorganisation that no upstream showed us
   * goes unnoticed that long. Default 12 seconds. `Infinity` where every head is followed.
   */
  readonly unfinal?: Duration.Input | undefined
  /**
   * How many blocks below the newest one are taken for final where no upstream has told of a finalized block, as on chains
   * without. Default: none but the first is.
   */
  readonly finalAfter?: number | undefined
  /** How long an answer that is not final stands in, marked as stale, where a new one cannot be had. Default 0. */
  readonly staleIfError?: Duration.Input | undefined
}

/** How an answer is kept, in the terms of a `ResponseCache`. */
export interface Policy {
  /** Milliseconds; `undefined`: not at all. */
  readonly ttl: (value: unknown) => number | undefined
  readonly staleIfError?: number
  readonly tags?: ReadonlyArray<string> | ((value: unknown) => ReadonlyArray<string>)
}

export interface Finality {
  readonly key: Key.Key
  /** `undefined`: the request is neither kept nor shared. */
  readonly policy: (request: JsonRpc.Request) => Policy | undefined
  /**
   * Takes note of an answer, and says which other requests it answers as well: a block that was asked for as the latest
   * has a number and a hash.
   */
  readonly note: (request: JsonRpc.Request, value: unknown) => ReadonlyArray<JsonRpc.Request>
  /** Calls `drop` with each tag whose answers are no longer true, synchronously. Returns the function that stops it. */
  readonly watch: (drop: (tag: string) => void) => () => void
}

const readers = {
  chainId: Read.integer({ min: 1, default: undefined }),
  latest: Read.duration({ min: 0, default: 0 }),
  unfinal: Read.duration({ min: 0, infinite: true, default: "12 seconds" }),
  finalAfter: Read.integer({ min: 1, default: undefined }),
  staleIfError: Read.duration({ min: 0, infinite: true, default: 0 })
}

type Settings = { readonly [K in keyof typeof readers]: ReturnType<(typeof readers)[K]> }

/**
 * Keeps answers by finality, as far as `heads` know it. What a method's answers depend on is known of the standard ones.
 *
 * @throws `InvalidOption` at once.
 */
export const make = (heads: Heads, options?: Options): Finality =>
  new Keeper(heads, Read.read("Finality", options, readers))

/** Beyond that many blocks a reorganisation drops whatever is not final. */
const deep = 128

const constant: Policy = { ttl: (value) => (value === null ? undefined : Infinity) }

// A node that does not have the block may say an empty list. The tags are a function, and so not known of a load under
// way: who asks after a change does not join one that may end with null. But no change drops what is kept.
const content: Policy = {
  ttl: (value) => (value === null || isEmptyList(value) ? undefined : Infinity),
  tags: () => nothing
}

const nothing: ReadonlyArray<never> = []

const tags = ["latest", "safe", "finalized"]

// Nothing is kept, but who asks after a change does not join a load from before it.
const shared: Policy = { ttl: () => 0, tags }

class Keeper implements Finality {
  readonly key: Key.Key
  private readonly heads: Heads
  private readonly settings: Settings
  private readonly watchers = new Set<(tag: string) => void>()
  /** The highest block that an answer has named. */
  private newest = -1
  /** The highest block about which something was kept as final, and as not final. */
  private highestFinal = -1
  private highestUnfinal = -1
  private readonly byNumber = new Map<number, Policy>()
  // What depends on the newest block, on its number alone, on the block of another tag, or on several tags.
  private readonly head: Policy
  private readonly number: Policy
  private readonly safe: Policy
  private readonly finalized: Policy
  private readonly mixed: Policy

  constructor(heads: Heads, settings: Settings) {
    this.heads = heads
    this.settings = settings
    this.key = Key.make(settings.chainId)
    this.head = this.atTag("latest", heads.latest, settings.latest)
    this.mixed = { ...this.head, tags }
    const minute = Math.min(60_000, settings.unfinal)
    this.safe = this.atTag("safe", heads.safe, minute)
    this.finalized = this.atTag("finalized", heads.finalized, minute)
    this.number = { ...this.head, ttl: (value) => (this.isOld(numberOf(value)) ? undefined : this.head.ttl(value)) }
  }

  private readonly final: Policy = {
    ttl: (value) => (value === null || this.contradicts(value) ? undefined : Infinity),
    tags: ["final"]
  }

  private readonly mined: Policy = {
    ttl: (value) => {
      const block = seenIn(value)
      return block && this.at(block.number).ttl(value)
    },
    tags: (value) => {
      const block = seenIn(value)
      return block === undefined ? nothing : (this.at(block.number).tags as ReadonlyArray<string>)
    }
  }

  readonly policy = (request: JsonRpc.Request): Policy | undefined => {
    const method = methods.get(request.method)
    switch (method?.basis) {
      case undefined:
        return undefined
      case "constant":
        return constant
      case "head":
        return request.method === "eth_blockNumber" ? this.number : this.head
      case "mined":
        return this.mined
      default:
        return this.byBlocks(method!, request)
    }
  }

  private byBlocks({ basis, place }: Method, request: JsonRpc.Request): Policy | undefined {
    const blocks = blocksOf(request)
    if (blocks === undefined) return basis === "node" && place < 0 ? shared : undefined
    const { from, to } = blocks
    // The mempool moves from one request to the next.
    if (from === "pending" || to === "pending") return undefined
    if (basis === "node") return shared
    if (typeof to === "object") return to.requireCanonical === true ? this.head : content
    if (typeof from === "number" && typeof to === "number") return this.at(Math.max(from, to))
    if (from !== to && (typeof from !== "number" || typeof to === "number")) return this.mixed
    if (to === "safe") return this.safe
    return to === "finalized" ? this.finalized : this.head
  }

  // What depends on blocks up to this one.
  private at(number: number): Policy {
    if (this.isFinal(number)) {
      this.highestFinal = Math.max(this.highestFinal, number)
      return this.final
    }
    const latest = this.heads.latest()
    if (latest === undefined) return shared
    return number > latest.number ? this.head : this.recent(number)
  }

  private recent(number: number): Policy {
    let policy = this.byNumber.get(number)
    if (policy === undefined) {
      if (this.byNumber.size >= deep) this.byNumber.clear()
      policy = this.spared((value) => this.recently(number, value), [`block/${number}`, "unfinal"])
      this.byNumber.set(number, policy)
    }
    this.highestUnfinal = Math.max(this.highestUnfinal, number)
    return policy
  }

  private recently(number: number, value: unknown): number | undefined {
    if (value === null || this.contradicts(value)) return undefined
    if (this.isFinal(number)) return Infinity
    // A node that has not seen the block yet may say an empty list.
    const { latest, unfinal } = this.settings
    return isEmptyList(value) ? Math.min(unfinal, latest) : unfinal
  }

  private atTag(tag: string, current: () => Block | undefined, limit: number): Policy {
    return this.spared(
      (value) => {
        const block = current()
        if (block === undefined || value === null || this.contradicts(value)) return undefined
        // A list may end before the block up to which it was asked for.
        const seen = Array.isArray(value) ? undefined : seenIn(value)
        return seen !== undefined && seen.number < block.number ? undefined : limit
      },
      [tag]
    )
  }

  private spared(ttl: Policy["ttl"], tags: ReadonlyArray<string>): Policy {
    return { ttl, staleIfError: this.settings.staleIfError, tags }
  }

  // Without a finalized block there is still the first.
  private isFinal(number: number): boolean {
    const finalized = this.heads.finalized()?.number
    if (finalized !== undefined || number === 0) return number <= (finalized ?? 0)
    return number + (this.settings.finalAfter ?? Infinity) <= (this.heads.latest()?.number ?? 0)
  }

  private isOld(number: number | undefined): boolean {
    return number === undefined || number < (this.heads.latest()?.number ?? 0)
  }

  // An upstream may be on a branch that the others have left.
  private contradicts(value: unknown): boolean {
    const block = seenIn(value)
    const known = block && this.heads.hashAt(block.number)
    return known !== undefined && known !== block!.hash
  }

  readonly note = (request: JsonRpc.Request, value: unknown): ReadonlyArray<JsonRpc.Request> => {
    if (request.method === "eth_blockNumber") this.advance(numberOf(value) ?? -1)
    const block = seenIn(value)
    if (block !== undefined) {
      this.advance(block.number)
      if (blockMethods.has(request.method)) return this.alsoAsked(request, block)
    }
    // It is as true as ever, although its load may have been under way when something changed.
    return this.policy(request) === content ? [request] : nothing
  }

  // An answer may tell of a newer block than the heads do; what was newest before it is no longer.
  private advance(number: number): void {
    if (number <= this.newest) return
    this.newest = number
    if (number <= (this.heads.latest()?.number ?? -1)) return
    for (const drop of this.watchers) drop("latest")
  }

  private alsoAsked(request: JsonRpc.Request, { hash, number }: Seen): ReadonlyArray<JsonRpc.Request> {
    const [asked, ...rest] = request.params
    if (asked === "pending") return nothing
    const also = [JsonRpc.makeRequest("eth_getBlockByHash", [hash, ...rest])]
    if (this.heads.hashAt(number) === hash) {
      also.push(JsonRpc.makeRequest("eth_getBlockByNumber", [quantity(number), ...rest]))
    }
    // It was on its way when it became the newest, and is so still.
    if (asked === "latest" && this.heads.latest()?.hash === hash) also.push(request)
    return also
  }

  readonly watch = (drop: (tag: string) => void): (() => void) => {
    const own = (tag: string) => drop(tag)
    this.watchers.add(own)
    const off = this.heads.on((change) => this.follow(change, own))
    return () => {
      this.watchers.delete(own)
      off()
    }
  }

  private follow(change: Change, drop: (tag: string) => void): void {
    if (change.type === "head") return drop("latest")
    if (change.type !== "reorg") return drop(change.type)
    const { from } = change
    this.newest = Math.min(this.newest, from - 1)
    for (const tag of tags) drop(tag)
    if (from <= this.highestFinal) drop("final")
    if (this.highestUnfinal - from >= deep) return drop("unfinal")
    for (let number = from; number <= this.highestUnfinal; number++) drop(`block/${number}`)
  }
}

const blockMethods = new Set(["eth_getBlockByNumber", "eth_getBlockByHash"])
