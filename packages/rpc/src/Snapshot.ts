/**
 * Several reads of one block: what `latest` means is found out once, and the same for all of them.
 *
 * ```ts
 * const [reserves, supply] = yield* Snapshot.run(
 *   Effect.all([client.request(reservesOf), client.request(supplyOf)], { concurrency: "unbounded" })
 * )
 * ```
 *
 * A read that names `latest`, or no block where its method would take the latest, is asked by the block's hash where every
 * node understands that (EIP-1898, and methods that have a sister by hash), and by its number otherwise: by the number, a
 * reorganisation meanwhile shows. Requests that name another block go through as they are, and so do prices of gas.
 */
import { Call, JsonRpc, Options as Read, Outcome } from "@hawser/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import { type NotFound, notFound } from "./internal/head/errors.ts"
import { Once } from "./internal/head/once.ts"
import { isPinnable, type Pin, pinned } from "./internal/head/pinned.ts"
import { numberOf, quantity } from "./internal/quantity.ts"

export interface Options {
  /** The block: a tag, a number, or a block that is known. Default: the latest as the first read finds it. */
  readonly block?:
    | "latest"
    | "safe"
    | "finalized"
    | number
    | { readonly number: number; readonly hash: string }
    | undefined
  /** `number`: names the block by its number always, for upstreams that do not know EIP-1898. Default `hash`. */
  readonly by?: "hash" | "number" | undefined
}

/** What a group of reads shares: one block for each client they use. */
class Snapshot {
  private readonly pins = new Map<object, Once<Pin, any>>()
  private readonly block: NonNullable<Options["block"]>
  private readonly by: "hash" | "number"

  constructor(block: NonNullable<Options["block"]>, by: "hash" | "number") {
    this.block = block
    this.by = by
  }

  of<E>(below: JsonRpc.Service<E>): Effect.Effect<Pin, E | Call.NoAnswer<NotFound>> {
    const { block } = this
    if (typeof block === "object") return Effect.succeed(this.pin(block.number, block.hash))
    const known = this.pins.get(below) as Once<Pin, E | Call.NoAnswer<NotFound>> | undefined
    if (known !== undefined) return known.get
    const pin = new Once(this.find(below, typeof block === "number" ? quantity(block) : block))
    this.pins.set(below, pin as Once<Pin, any>)
    return pin.get
  }

  private pin(number: number, hash: string): Pin {
    return { number, hash: this.by === "hash" ? hash : undefined }
  }

  // A call of its own: the upstream that knows the block is to be asked for the rest, too.
  private find<E>(below: JsonRpc.Service<E>, block: string): Effect.Effect<Pin, E | Call.NoAnswer<NotFound>> {
    const request = JsonRpc.makeRequest("eth_getBlockByNumber", [block, false])
    return Effect.withFiber((fiber) => {
      const call = new Call.Call(undefined, fiber.getRef(Call.Current)?.deadline)
      return Effect.flatMap(
        Effect.provideService(below.request(request), Call.Current, call),
        (found): Effect.Effect<Pin, Call.NoAnswer<NotFound>> => {
          const { hash, number } = (found ?? {}) as Record<string, unknown>
          const at = numberOf(number)
          return at === undefined || typeof hash !== "string"
            ? Effect.fail(noSuchBlock(below.name, request.method))
            : Effect.succeed(this.pin(at, hash))
        }
      )
    })
  }
}

const Current = Context.Reference<Snapshot | undefined>("~hawser/rpc/Snapshot", { defaultValue: () => undefined })

/**
 * Runs reads against one block, for each client with a {@link layer}. Within another snapshot it is that one's block.
 *
 * @throws `InvalidOption` at once.
 */
export const run = <A, E, R>(self: Effect.Effect<A, E, R>, options?: Options): Effect.Effect<A, E, R> => {
  const { block, by } = Read.read("Snapshot", options, {
    block: blockOf,
    by: Read.oneOf(["hash", "number"] as const, "hash")
  })
  return Effect.withFiber((fiber) =>
    fiber.getRef(Current) === undefined ? Effect.provideService(self, Current, new Snapshot(block, by)) : self
  )
}

/** Whether a fiber is within {@link run}. */
export const isWithin = (fiber: Fiber.Fiber<unknown, unknown>): boolean => fiber.getRef(Current) !== undefined

const blockOf = (option: string, received: unknown): NonNullable<Options["block"]> => {
  if (typeof received === "number") return Read.integer({ min: 0 })(option, received)
  if (typeof received === "object" && received !== null) {
    return Read.read(option, received, { number: Read.integer({ min: 0 }), hash: Read.string() })
  }
  return Read.oneOf(["latest", "safe", "finalized"] as const, "latest")(option, received)
}

/** Lets {@link run} have its way. Belongs above the cache, so that what is read of one block is kept with it. */
export const layer = <E, LE, R>(
  self: Layer.Layer<JsonRpc.Client<E>, LE, R>
): Layer.Layer<JsonRpc.Client<E | Call.NoAnswer<NotFound>>, LE, R> =>
  JsonRpc.transform(self, "snapshot", (below: JsonRpc.Service<E>) =>
    Effect.succeed({
      request: (request: JsonRpc.Request): Effect.Effect<unknown, E | Call.NoAnswer<NotFound>> =>
        Effect.withFiber((fiber) => {
          const snapshot = fiber.getRef(Current)
          if (snapshot === undefined) return below.request(request)
          // Each of its reads is pinned by itself.
          if (request.batch !== undefined) return JsonRpc.apart
          if (!isPinnable(request)) return below.request(request)
          return Effect.flatMap(snapshot.of(below), (pin): Effect.Effect<unknown, E> =>
            request.method === "eth_blockNumber"
              ? Effect.succeed(quantity(pin.number))
              : below.request(pinned(request, pin))
          )
        }),
      // Whoever has no fiber is in no snapshot.
      submit: JsonRpc.passReads(below)
    })
  )

const noSuchBlock = (upstream: string, method: string): Call.NoAnswer<NotFound> =>
  new Call.NoAnswer({
    causes: [{ upstream, error: notFound(upstream, method) }],
    [Outcome.TypeId]: Outcome.verdict({ counts: "neutral", again: "nowhere", ran: "no" })
  })
