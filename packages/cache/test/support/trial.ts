/** Batches and single requests over a cache, step by step, and what must hold after each. All of it is synchronous. */
import { assert } from "@effect/vitest"
import { Call, type JsonRpc } from "@hawser/core"
import { Clock, Context, Data, Effect, Exit, type Fiber, Scheduler, Scope } from "effect"
import type { ResponseCache } from "../../src/index.ts"
import {
  type AnyExit,
  apart,
  type Client,
  Hand,
  type Keys,
  type Open,
  over,
  refusal,
  rest,
  routing,
  together
} from "./clients.ts"
import { ManualClock } from "./world.ts"

/** Runs what is put off when the test says so. */
class Turns implements Scheduler.Scheduler {
  readonly executionMode = "sync"
  private readonly tasks: Array<() => void> = []

  shouldYield(): boolean {
    return false
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return { scheduleTask: (task) => void this.tasks.push(task), flush: () => this.run() }
  }

  run(): void {
    for (let task = this.tasks.shift(); task !== undefined; task = this.tasks.shift()) task()
  }
}

/** One read of one key: what its answer tells of itself. */
interface Load {
  /** `undefined`: any, since the batch failed as a whole. */
  readonly key: string | undefined
  readonly epoch: number
  /** Whose it is, if it is a batch's or not cached. */
  readonly owner: Call.Call | undefined
  ended: number
  at: number
  /** It brought no answer. */
  lost?: boolean
}

class Lost extends Data.TaggedError("Lost")<{ readonly load: Load }> {}

const hows = {
  value: (load: Load) => Exit.succeed(load),
  refusal: (load: Load) => Exit.fail(refusal(load)),
  failure: (load: Load) => Exit.fail(new Lost({ load: Object.assign(load, { lost: true }) }))
}

export type How = keyof typeof hows

const loadOf = (exit: AnyExit): Load => {
  if (exit._tag === "Success") return exit.value as Load
  const reason = exit.cause.reasons[0]
  if (reason?._tag !== "Fail") throw new Error(`ended with ${String(exit.cause)}`)
  return reason.error instanceof Lost ? reason.error.load : ((reason.error as JsonRpc.Rejected).data as Load)
}

interface Asker {
  readonly keys: Keys
  readonly call: Call.Call
  readonly epochs: ReadonlyArray<number>
  readonly asked: number
  readonly at: number
  readonly fiber: Fiber.Fiber<unknown, unknown>
  left: boolean
}

export const keys = ["k1", "k2", "k3", "s1", "s2", "w1", "e1", "u1"]

/** How old an answer may be. */
const lives: Record<string, number> = { k: 20, s: 0, w: 25, e: 25, u: 0 }

const short: Record<string, ResponseCache.Policy> = {
  k: { ttl: 20, negative: { ttl: 20, when: () => true }, tags: ["tag"] },
  s: { ttl: 0, tags: ["tag"] },
  w: { ttl: 5, staleWhileRevalidate: 20 },
  e: { ttl: 5, staleIfError: 20 }
}

const cached = (key: string) => short[key[0]!] !== undefined

/**
 * What must hold, whatever happens: an answer was loaded for its key, and not before the key was last dropped; it is new or
 * young enough; nobody loads a key twice at once, or for nobody; nobody in a batch waits for another's load, or fails for
 * another's batch; nothing is left.
 */
export class Trial {
  private readonly clock = new ManualClock()
  private readonly hand = new Hand()
  private readonly turns = new Turns()
  private readonly scope = Scope.makeUnsafe()
  private readonly context = Context.make(Clock.Clock, this.clock).pipe(Context.add(Scheduler.Scheduler, this.turns))
  private readonly epochs = new Map<string, number>()
  private readonly loads = new Map<Open, ReadonlyArray<Load>>()
  private readonly twice: Array<string> = []
  /** Dropped while a batch had them: whoever waits for that may have a load of its own beside the one that others share. */
  private readonly orphaned = new Set<string>()
  private readonly cache: ResponseCache.ResponseCache
  private readonly client: Client
  private readonly calls = new Set<Call.Call | undefined>()
  /** Those whose batch has not come back. */
  private readonly together = new Set<Call.Call>()
  private askers: Array<Asker> = []
  /** Orders what happens within one millisecond. */
  private moment = 0

  constructor() {
    const rules = { ...routing, policy: ({ method }: JsonRpc.Request) => short[method[0]!] }
    const made = this.run(over(this.hand, {}, rules).pipe(Effect.provideService(Scope.Scope, this.scope)))
    this.cache = made.cache
    this.client = made.client
    this.hand.heard = (request) => {
      const { call, keys } = request
      const owner = this.calls.has(call) ? call : undefined
      this.loads.set(
        request,
        keys.map((key) => ({ key, epoch: this.epoch(key), owner, ended: Infinity, at: NaN }))
      )
      for (const [i, key] of keys.entries()) {
        const others = [...this.open(), ...this.loads.get(request)!.slice(0, i)]
        const same = others.filter((load) => load.key === key && load.epoch === this.epoch(key))
        const allowed = this.orphaned.has(key)
          ? same.filter((load) => owner === undefined || load.owner === undefined)
          : []
        if (cached(key) && same.length > allowed.length) this.twice.push(key)
      }
    }
  }

  ask(keys: Keys, batch: boolean): void {
    const call = new Call.Call()
    this.calls.add(call)
    const asked = ++this.moment
    const at = this.clock.now
    const epochs = keys.map((key) => this.epoch(key))
    const all = keys.join(" ")
    const back = (exits: JsonRpc.Answers) => {
      this.together.delete(call)
      return rest(this.client, all, exits)
    }
    const asking = batch ? Effect.flatMap(together(this.client, all), back) : apart(this.client, all)
    if (batch) this.together.add(call)
    const fiber = Effect.runForkWith(Context.add(this.context, Call.Current, call))(asking)
    this.turns.run()
    this.askers.push({ keys, call, epochs, asked, at, fiber, left: false })
  }

  end(which: number, ways: ReadonlyArray<How>, whole: boolean): void {
    const { open } = this.hand
    const request = open[which % Math.max(1, open.length)]
    if (request === undefined) return
    const loads = this.loads.get(request)!
    this.moment++
    for (const load of loads) this.ended(load)
    const any = request.together ? { ...loads[0]!, key: undefined, epoch: Infinity } : loads[0]!
    request.end(whole ? hows.failure(any) : loads.map((load, i) => hows[ways[i % ways.length]!](load)))
    this.turns.run()
  }

  leave(which: number): void {
    const asker = this.askers[which % Math.max(1, this.askers.length)]
    if (asker === undefined) return
    asker.left = true
    asker.fiber.interruptUnsafe()
    this.turns.run()
  }

  pass(millis: number): void {
    for (let i = 0; i < millis; i++) {
      this.clock.advance(1)
      this.turns.run()
    }
  }

  drop(how: "invalidate" | "tag" | "clear" | "set", key: string): void {
    this.moment++
    const dropped = how === "clear" ? keys : how === "tag" ? keys.filter((one) => /^[ks]/.test(one)) : [key]
    for (const one of dropped) {
      this.epochs.set(one, this.epoch(one) + 1)
      if (this.open().some((load) => load.owner !== undefined && load.key === one)) this.orphaned.add(one)
    }
    const load = { key, epoch: this.epoch(key), owner: undefined, ended: Infinity, at: NaN }
    if (how === "invalidate") this.run(this.cache.invalidate(key))
    else if (how === "tag") this.run(this.cache.invalidateTag("tag"))
    else if (how === "clear") this.run(this.cache.clear())
    else if (cached(key)) this.run(this.cache.set(key, this.ended(load), short[key[0]!]!))
  }

  check(): void {
    assert.deepStrictEqual(this.twice, [], "loaded twice at once")
    assert.strictEqual(this.cache.inspect().inFlight, this.open().filter(({ key }) => cached(key!)).length)
    const ended = this.askers.filter(({ fiber }) => fiber.pollUnsafe() !== undefined)
    this.askers = this.askers.filter((asker) => !ended.includes(asker))
    for (const asker of ended) if (!asker.left) this.isAnswered(asker)
    for (const { call } of this.askers) {
      const loads = !this.together.has(call) || this.open().some(({ owner }) => owner === call)
      assert.isTrue(loads, "waits in a batch for another's load")
    }
    for (const { key, owner } of this.open()) {
      const wanted = this.askers.some(({ call, keys }) => (owner === undefined ? keys.includes(key!) : call === owner))
      assert.isTrue(wanted || key === "w1", `nobody waits for ${key}`)
    }
  }

  close(): void {
    while (this.hand.open.length > 0) {
      this.end(0, ["value"], false)
      this.check()
    }
    assert.deepStrictEqual(this.askers, [], "without an answer")
    this.run(Scope.close(this.scope, Exit.void))
    assert.strictEqual(this.clock.sleeping, 0)
  }

  private isAnswered({ asked, at, call, epochs, fiber, keys }: Asker): void {
    const exit = fiber.pollUnsafe()!
    const exits = exit._tag === "Success" ? (exit.value as JsonRpc.Answers) : keys.map(() => exit)
    assert.strictEqual(exits.length, keys.length)
    for (const [i, key] of keys.entries()) {
      const load = loadOf(exits[i]!)
      assert.strictEqual(load.key ?? key, key, "another key's")
      assert.isBelow(load.ended, Infinity)
      assert.isAtLeast(load.epoch, epochs[i]!, "from before the key was dropped")
      if (load.ended < asked) assert.isBelow(at - load.at, lives[key[0]!]!, "too old")
      if (load.lost && load.owner !== undefined) assert.strictEqual(load.owner, call, "another batch's failure")
    }
  }

  private ended(load: Load): Load {
    load.ended = this.moment
    load.at = this.clock.now
    return load
  }

  private epoch(key: string): number {
    return this.epochs.get(key) ?? 0
  }

  private open(): ReadonlyArray<Load> {
    return this.hand.open.flatMap((request) => this.loads.get(request)!)
  }

  private run<A>(effect: Effect.Effect<A>): A {
    const fiber = Effect.runForkWith(this.context)(effect)
    this.turns.run()
    const exit = fiber.pollUnsafe()
    if (exit?._tag !== "Success") throw new Error(String(exit))
    return exit.value
  }
}
