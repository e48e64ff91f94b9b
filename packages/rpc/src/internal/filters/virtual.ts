// A filter of blocks or logs that lives here: it knows what its owner was told, and asks whoever answers for what came since.
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { type Asker, NotThere } from "../subscription/ask.ts"
import { climb, type Means } from "../subscription/climb.ts"
import { type Criteria, filterOf, mayHold } from "../subscription/criteria.ts"
import { type Bounds, Follower } from "../subscription/follower.ts"
import type { Head } from "../subscription/head.ts"
import { Ledger, type Log } from "../subscription/ledger.ts"

/** Blocks whose logs are asked for at once. */
const atOnce = 8

/** What a filter needs of its surroundings. */
export interface Ground<E> extends Omit<Means<E>, "asker"> {
  readonly bounds: Bounds
  readonly bloom: boolean
}

export class VirtualFilter<E> {
  private readonly ground: Ground<E>
  private readonly asker: Asker<E>
  /** `undefined`: of blocks. */
  private readonly criteria: Criteria | undefined
  private readonly follower: Follower
  private readonly ledger: Ledger
  /** What was found and has not been handed over. Kept when whoever asked for it goes away. */
  private found: Array<unknown> = []
  private readonly lock = Semaphore.makeUnsafe(1)

  constructor(ground: Ground<E>, asker: Asker<E>, criteria: Criteria | undefined, start: Head) {
    this.ground = ground
    this.asker = asker
    this.criteria = criteria
    this.follower = new Follower(start, ground.bounds)
    this.ledger = new Ledger(ground.bounds.depth)
  }

  /** What came since it was last asked; `undefined`: the chain could not be followed, and the filter is of no use any more. */
  readonly changes: Effect.Effect<ReadonlyArray<unknown> | undefined, E | NotThere> = Effect.suspend(() =>
    this.lock.withPermits(1)(this.collect)
  )

  private readonly collect = Effect.gen({ self: this }, function* () {
    const offered = this.follower.offer(yield* this.asker.latest())
    const patient = (error: E | NotThere) => !(error instanceof NotThere)
    const found =
      offered.type === "need"
        ? yield* climb({ ...this.ground, asker: this.asker }, this.follower, offered, patient)
        : offered
    if (found.type === "lost") return undefined
    for (const step of found.steps) {
      if (this.criteria !== undefined) this.ledger.apply(step)
      else if (step.type === "added") this.found.push(step.block.header.hash)
    }
    if (this.criteria !== undefined) yield* this.logs(this.criteria)
    const all = this.found
    this.found = []
    return all
  })

  private logs(criteria: Criteria): Effect.Effect<void, E | NotThere> {
    return Effect.gen({ self: this }, function* () {
      for (let step = this.ledger.next(); step !== undefined; step = this.ledger.next()) {
        const steps = this.ledger.ahead(atOnce)
        const logs = yield* Effect.forEach(steps, ({ block }) => this.logsOf(criteria, block), { concurrency: atOnce })
        if (steps.length === 0) this.found.push(...this.ledger.settle(step))
        for (const [i, step] of steps.entries()) this.found.push(...this.ledger.settle(step, logs[i]))
      }
    })
  }

  private logsOf(criteria: Criteria, block: Head): Effect.Effect<ReadonlyArray<Log>, E | NotThere> {
    const within = block.number >= criteria.from && block.number <= criteria.to
    if (!within || (this.ground.bloom && !mayHold(criteria, block.header.logsBloom))) return Effect.succeed([])
    return this.asker.logs(filterOf(criteria), block)
  }
}
