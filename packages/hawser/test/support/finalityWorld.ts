/**
 * Callers, a cache, and a node whose answers come when the test says so: everything is synchronous, so that a property
 * can run thousands of steps.
 */
import { Clock, Context, Data, Effect, Exit, Layer, Scope } from "effect"
import { Call, type Head, JsonRpc } from "hawser"
import { isDeepStrictEqual } from "node:util"
import type * as Keeping from "../../src/internal/finality.ts"
import { Chain, ToldHeads } from "./chain.ts"

class Lost extends Data.TaggedError("Lost")<{}> {}

class ManualClock implements Clock.Clock {
  now = 0
  currentTimeMillisUnsafe = () => 1e12 + this.now
  currentTimeMillis = Effect.sync(this.currentTimeMillisUnsafe)
  currentTimeNanosUnsafe = () => BigInt(this.currentTimeMillisUnsafe()) * 1_000_000n
  currentTimeNanos = Effect.sync(this.currentTimeNanosUnsafe)
  monotonicTimeNanosUnsafe = () => BigInt(Math.round(this.now * 1e6))
  monotonicTimeNanos = Effect.sync(this.monotonicTimeNanosUnsafe)
  sleep = () => Effect.never
}

/** A request on its way to the node and back. */
export interface Load {
  readonly request: JsonRpc.Request
  /** What the node said, once it has heard the request. */
  said: Exit.Exit<unknown, Error> | undefined
  /** The state it was in then, if that was not the newest. */
  late: number | undefined
  readonly resume: (exit: Exit.Exit<unknown, Error>) => void
}

interface Caller {
  readonly request: JsonRpc.Request
  readonly recorder: Call.Recorder
  /** The states that its answer may be of: no older than what the heads knew when it asked. */
  readonly since: number
}

export interface Settings {
  readonly memory: number
  readonly staleIfError: number
  /** Whether the heads are told at once. */
  readonly prompt: boolean
  /** Whether the node is now and then behind what the heads were told. */
  readonly lags: boolean
}

/** What is tested: ours, or a mutant of it. */
export type Subject = (
  heads: Head.Heads,
  options: Keeping.Options
) => (self: Layer.Layer<JsonRpc.Client<Error>>) => Layer.Layer<JsonRpc.Client<Error>>

export class World {
  readonly chain = new Chain()
  readonly heads: ToldHeads
  readonly clock = new ManualClock()
  readonly loads: Array<Load> = []
  /** How often the cache answered alone. */
  hits = 0
  /** The first answer that was not true. */
  wrong: string | undefined = undefined
  private ending: Load | undefined = undefined
  private readonly scope = Scope.makeUnsafe()
  private readonly client: JsonRpc.Service<Error>
  readonly settings: Settings

  constructor(subject: Subject, settings: Settings) {
    this.settings = settings
    this.heads = new ToldHeads(this.chain, settings.memory)
    const node = Layer.succeed(JsonRpc.client<Error>())({
      name: "node",
      request: (request) =>
        Effect.callback((resume) => void this.loads.push({ request, said: undefined, late: undefined, resume })),
      inspect: () => ({ name: "node" })
    })
    const options = { latest: 2_000, unfinal: 30_000, staleIfError: settings.staleIfError, jitter: 0, capacity: 200 }
    const layer = node.pipe(subject(this.heads, options))
    this.client = Effect.runSyncWith(Context.make(Clock.Clock, this.clock))(
      Effect.map(Layer.buildWithScope(layer, this.scope), (context) => Context.get(context, JsonRpc.client<Error>()))
    )
  }

  close(): void {
    Effect.runSync(Scope.close(this.scope, Exit.void))
  }

  /** Something happens to the chain; the heads hear of it now, or later. */
  change(happens: () => void): void {
    happens()
    if (this.settings.prompt) this.tell()
  }

  tell(index = this.chain.states.length - 1): void {
    if (index > this.heads.known) this.heads.tell(index)
  }

  ask(request: JsonRpc.Request, atOnce: boolean): void {
    const recorder = new Call.Recorder()
    const context = Context.make(Clock.Clock, this.clock).pipe(Context.add(Call.Current, new Call.Call(recorder)))
    const since = Math.max(0, this.heads.known)
    const caller = { request, recorder, since }
    const before = this.loads.length
    Effect.runForkWith(context)(this.client.request(request)).addObserver((exit) => this.check(caller, exit))
    if (atOnce && this.loads.length > before) this.end(this.loads[before]!, false)
  }

  /** The node hears a request; it may be some states behind, if the answer says of which block it is. */
  hear(load: Load, behind = 0): void {
    if (load.said !== undefined) return
    const { method, params } = load.request
    const lags = this.settings.lags && tells.has(method) && params[0] !== "pending"
    const newest = this.chain.states.length - 1
    if (lags && behind > 0) load.late = Math.max(0, newest - behind)
    load.said = this.say(load.late ?? newest, method, params)
  }

  /** The node's answer arrives, or the connection is lost. */
  end(load: Load, lost: boolean): void {
    this.loads.splice(this.loads.indexOf(load), 1)
    this.hear(load)
    this.ending = load
    load.resume(lost ? Exit.fail(new Lost()) : load.said!)
    this.ending = undefined
  }

  finish(): void {
    while (this.loads.length > 0) this.end(this.loads[0]!, false)
  }

  private say(index: number, method: string, params: ReadonlyArray<unknown>): Exit.Exit<unknown, Error> {
    try {
      return Exit.succeed(this.chain.answer(this.chain.states[index]!, method, params))
    } catch (error) {
      return Exit.fail(error as Error)
    }
  }

  private check({ recorder, request: { method, params }, since }: Caller, exit: Exit.Exit<unknown, Error>): void {
    if (recorder.stale || exit._tag === "Failure") return
    if (this.ending === undefined) this.hits++
    const states = this.chain.states.length
    // Those who waited for a node that is behind get what it says.
    for (let i = states - 1; i >= Math.min(since, this.ending?.late ?? since); i--) {
      const said = this.say(i, method, params)
      if (said._tag === "Success" && isDeepStrictEqual(said.value, exit.value)) return
    }
    const steps = JSON.stringify(recorder.steps)
    this.wrong ??= `${method}(${JSON.stringify(params)}) = ${JSON.stringify(exit.value)}, true in none of the states ${since} to ${states - 1}; ${steps}`
  }
}

/** Methods whose answers say of which block they are. */
const tells = new Set(["eth_getBlockByNumber", "eth_getTransactionReceipt", "eth_getTransactionByHash"])
