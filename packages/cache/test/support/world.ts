/**
 * A cache in a world where nothing happens by itself: the test ends each load by hand and moves the clock. All of it
 * is synchronous, so that a property can run thousands of steps.
 */
import { Call } from "@hawser/core"
import { Clock, Context, Duration, Effect, Exit, type Fiber, Scope } from "effect"
import { ResponseCache } from "../../src/index.ts"

export class ManualClock implements Clock.Clock {
  now = 0
  /** What the wall clock shows at time 0. */
  wall = 1e12
  private readonly sleepers = new Set<{ readonly at: number; readonly wake: () => void }>()

  get sleeping(): number {
    return this.sleepers.size
  }

  advance(by: number): void {
    const end = this.now + by
    for (;;) {
      const due = [...this.sleepers].toSorted((a, b) => a.at - b.at)[0]
      if (due === undefined || due.at > end) break
      this.now = due.at
      this.sleepers.delete(due)
      due.wake()
    }
    this.now = end
  }

  currentTimeMillisUnsafe = () => this.wall + this.now
  currentTimeMillis = Effect.sync(this.currentTimeMillisUnsafe)
  currentTimeNanosUnsafe = () => BigInt(this.currentTimeMillisUnsafe()) * 1_000_000n
  currentTimeNanos = Effect.sync(this.currentTimeNanosUnsafe)
  monotonicTimeNanosUnsafe = () => BigInt(Math.round(this.now * 1e6))
  monotonicTimeNanos = Effect.sync(this.monotonicTimeNanosUnsafe)

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const sleeper = { at: this.now + Duration.toMillis(duration), wake: () => resume(Effect.void) }
      this.sleepers.add(sleeper)
      return Effect.sync(() => void this.sleepers.delete(sleeper))
    })
  }
}

/** One run of the load of a key. */
export class Load {
  state: "running" | "ended" | "interrupted" = "running"
  readonly key: string
  readonly call: Call.Call
  private readonly resume: (exit: Exit.Exit<unknown, unknown>) => void

  constructor(key: string, call: Call.Call, resume: (exit: Exit.Exit<unknown, unknown>) => void) {
    this.key = key
    this.call = call
    this.resume = resume
  }

  end(exit: Exit.Exit<unknown, unknown>): void {
    this.state = "ended"
    this.resume(exit)
  }
}

/** Someone who asked. */
export class Caller {
  readonly recorder = new Call.Recorder()
  readonly call = new Call.Call(this.recorder)
  fiber!: Fiber.Fiber<unknown, unknown>

  get exit(): Exit.Exit<unknown, unknown> | undefined {
    return this.fiber.pollUnsafe()
  }

  /** What its report says of the cache. */
  get verdicts(): ReadonlyArray<string> {
    return this.recorder.steps.flatMap((step) =>
      step.step === "cache" ? [step.age === undefined ? step.verdict : `${step.verdict} ${step.age}`] : []
    )
  }
}

export class World {
  readonly clock = new ManualClock()
  readonly loads: Array<Load> = []
  readonly callers: Array<Caller> = []
  readonly cache: ResponseCache.ResponseCache
  private readonly scope = Scope.makeUnsafe()

  constructor(options: ResponseCache.Options) {
    this.cache = this.run(ResponseCache.make(options).pipe(Effect.provideService(Scope.Scope, this.scope)))
  }

  run<A>(effect: Effect.Effect<A>): A {
    return Effect.runSyncWith(Context.make(Clock.Clock, this.clock))(effect)
  }

  ask(key: string, policy: ResponseCache.Policy, deadline = Infinity): Caller {
    const caller = new Caller()
    caller.call.deadline = this.clock.now + deadline
    this.callers.push(caller)
    const context = Context.make(Clock.Clock, this.clock).pipe(Context.add(Call.Current, caller.call))
    caller.fiber = Effect.runForkWith(context)(this.cache.execute(key, this.load(key), policy))
    return caller
  }

  close(): void {
    this.run(Scope.close(this.scope, Exit.void))
  }

  private load(key: string): Effect.Effect<unknown, unknown> {
    return Effect.withFiber((fiber) =>
      Effect.callback((resume) => {
        const load = new Load(key, fiber.getRef(Call.Current)!, resume)
        this.loads.push(load)
        return Effect.sync(() => {
          load.state = "interrupted"
        })
      })
    )
  }
}
