// Who listens to what: many listeners, one topic for each thing, one follower of the chain for all.
import { Call, JsonRpc, Outcome } from "@hawser/core"
import * as Effect from "effect/Effect"
import { NotThere } from "./ask.ts"
import { readCriteria } from "./criteria.ts"
import { type Held, keep, open } from "./keep.ts"
import { Listener, unheard } from "./listener.ts"
import { SubscriptionLost } from "./lost.ts"
import { type Ground, Pump } from "./pump.ts"
import { Audience, headsTopic, LogsTopic } from "./topic.ts"
import { quantity } from "../quantity.ts"

interface Topic {
  readonly audience: Audience
  readonly stop: () => void
}

export type Failing<E> = E | JsonRpc.Rejected | Call.NoAnswer

export class Sessions<E> {
  private readonly ground: Ground<E>
  private readonly bloom: boolean
  private readonly pump: Pump<E>
  private readonly topics = new Map<string, Topic>()
  /** How to end each subscription, by its id. */
  private readonly ids = new Map<string, () => void>()
  private count = 0
  private closed = false

  constructor(ground: Ground<E>, bloom: boolean) {
    this.ground = ground
    this.bloom = bloom
    this.pump = new Pump(ground)
  }

  readonly request = (request: JsonRpc.Request): Effect.Effect<unknown, Failing<E>> => {
    switch (request.method) {
      case "eth_subscribe":
        return Effect.withFiber((fiber) => {
          const listener = fiber.getRef(Listener)
          return listener === undefined ? Effect.fail(unheard(this.name)) : this.subscribe(request.params, listener)
        })
      case "eth_unsubscribe":
        return Effect.suspend(() => {
          const cancel = this.ids.get(String(request.params[0]))
          if (cancel === undefined) return Effect.fail(rejected(this.name, -32000, "filter", "subscription not found"))
          cancel()
          return Effect.succeed(true)
        })
      default:
        return this.ground.asker.below.request(request)
    }
  }

  readonly inspect = () => ({
    listeners: this.ids.size,
    topics: this.topics.size,
    source: this.pump.source,
    head: this.pump.tip?.number
  })

  close(): void {
    this.closed = true
    const topics = Array.from(this.topics.values())
    this.topics.clear()
    for (const { audience, stop } of topics) {
      stop()
      audience.lost(new SubscriptionLost({ reason: "closed" }))
    }
  }

  private get name(): string {
    return this.ground.asker.below.name
  }

  private subscribe(params: ReadonlyArray<unknown>, listener: Listener): Effect.Effect<unknown, Failing<E>> {
    const [kind, filter] = params
    if (kind === "newHeads") return this.toChain("newHeads", listener, headsTopic)
    if (kind !== "logs") return this.toOther(params, listener)
    const criteria = readCriteria(filter)
    if (typeof criteria === "string") return Effect.fail(rejected(this.name, -32602, "invalid", criteria))
    const { address, topics } = criteria
    return this.toChain(
      `logs ${JSON.stringify([address, topics])}`,
      listener,
      (audience) => new LogsTopic(this.ground, criteria, this.bloom, audience)
    )
  }

  // Those who come first learn where the chain stands: what they are told begins there.
  private toChain(
    key: string,
    listener: Listener,
    make: (audience: Audience) => ReturnType<typeof headsTopic> & { readonly stop?: () => void }
  ): Effect.Effect<unknown, Failing<E>> {
    return Effect.suspend(() => {
      const { pump } = this
      const start = pump.tip === undefined ? this.answered(this.ground.asker.latest()) : Effect.succeed(pump.tip)
      return Effect.flatMap(start, (head) => {
        if (this.closed) return Effect.fail(noAnswer(this.name, new NotThere({ message: "the layer is closed" })))
        if (!this.topics.has(key)) {
          const audience = new Audience()
          const reader = make(audience)
          const topic = {
            audience,
            stop: () => {
              pump.leave(reader)
              reader.stop?.()
            }
          }
          this.topics.set(key, topic)
          audience.onLost = () => this.forget(key, topic)
          pump.join(reader, head)
        }
        return Effect.succeed(this.join(key, listener))
      })
    })
  }

  // Whatever else there is to subscribe to is told as it comes.
  private toOther(params: ReadonlyArray<unknown>, listener: Listener): Effect.Effect<unknown, Failing<E>> {
    const { asker, clock, fork, random } = this.ground
    return Effect.suspend((): Effect.Effect<unknown, Failing<E>> => {
      const key = `other ${JSON.stringify(params)}`
      if (this.topics.has(key)) return Effect.succeed(this.join(key, listener))
      const audience = new Audience()
      const tell = (result: unknown) => audience.tell(result)
      return this.answered(
        open(asker, params, tell, [], (held) => {
          if (this.closed) return held.drop()
          if (this.topics.has(key)) held.drop()
          else {
            let current: Held | undefined = held
            const onHeld = (held: Held | undefined) => {
              current = held
            }
            const running = fork(
              keep(asker, clock, random, { params, onNotification: tell, onHeld, avoid: () => [] }, held)
            )
            const stop = () => {
              running.interruptUnsafe()
              // It may not have begun.
              current?.opened?.cancel()
            }
            this.topics.set(key, { audience, stop })
          }
          return this.join(key, listener)
        })
      )
    })
  }

  private join(key: string, listener: Listener): string {
    const topic = this.topics.get(key)!
    const id = quantity(++this.count)
    const own: Listener = {
      onOpen: () => {},
      onNotification: (result) => listener.onNotification(result),
      onLost: (error) => {
        this.ids.delete(id)
        listener.onLost(error)
      }
    }
    const cancel = () => {
      if (!this.ids.delete(id)) return
      topic.audience.delete(own)
      if (topic.audience.size === 0) this.forget(key, topic)
    }
    topic.audience.add(own)
    this.ids.set(id, cancel)
    listener.onOpen({ upstream: this.name, id, cancel })
    return id
  }

  private forget(key: string, topic: Topic): void {
    if (this.topics.get(key) !== topic) return
    this.topics.delete(key)
    topic.stop()
  }

  private answered<A>(effect: Effect.Effect<A, E | NotThere>): Effect.Effect<A, Failing<E>> {
    return Effect.mapError(effect, (error) => (error instanceof NotThere ? noAnswer(this.name, error) : error))
  }
}

/** Nobody gave an answer that is one. */
export const noAnswer = (upstream: string, error: NotThere): Call.NoAnswer =>
  new Call.NoAnswer({ causes: [{ upstream, error }], [Outcome.TypeId]: Outcome.verdict() })

/** What a node says of a filter or subscription that it does not know or like. */
export const rejected = (
  upstream: string,
  code: number,
  kind: JsonRpc.RejectedKind,
  message: string
): JsonRpc.Rejected =>
  new JsonRpc.Rejected({
    upstream,
    code,
    message,
    data: undefined,
    kind,
    [Outcome.TypeId]: Outcome.verdict({ counts: "neutral", again: "nowhere", ran: "no" })
  })
