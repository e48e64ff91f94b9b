// A filter that only the node that made it can answer: what waits in its pool nobody else knows.
import { Call, JsonRpc } from "@hawser/core"
import * as Effect from "effect/Effect"

export class PinnedFilter<E> {
  private readonly below: JsonRpc.Service<E>
  private readonly name: string
  private generation = 0
  private made: { readonly upstream: string | undefined; readonly id: unknown }

  private constructor(below: JsonRpc.Service<E>, name: string, made: PinnedFilter<E>["made"]) {
    this.below = below
    this.name = name
    this.made = made
  }

  static make<E>(below: JsonRpc.Service<E>, name: string): Effect.Effect<PinnedFilter<E>, E> {
    return Effect.map(create(below, `${name}/0`), (made) => new PinnedFilter(below, name, made))
  }

  private get scope(): string {
    return `${this.name}/${this.generation}`
  }

  /**
   * What came since it was last asked. Where its node has lost it, or is lost itself, another makes a new one, and what came
   * meanwhile nobody knows.
   */
  readonly changes: Effect.Effect<ReadonlyArray<unknown>, E> = Effect.suspend(() => {
    const { id, upstream } = this.made
    return Effect.matchEffect(asked(this.below, "eth_getFilterChanges", [id], this.scope), {
      onSuccess: ({ answer, answeredBy }) =>
        // Another node may have a filter of this id, which is not ours.
        answeredBy === upstream && Array.isArray(answer)
          ? Effect.succeed(answer as ReadonlyArray<unknown>)
          : this.again,
      onFailure: () => this.again
    })
  })

  private readonly again: Effect.Effect<ReadonlyArray<unknown>, E> = Effect.suspend(() => {
    this.generation++
    return Effect.map(create(this.below, this.scope), (made) => {
      this.made = made
      return []
    })
  })

  /** Lets its node forget it, if that can be. */
  readonly uninstall: Effect.Effect<void> = Effect.suspend(() =>
    Effect.ignore(asked(this.below, "eth_uninstallFilter", [this.made.id], this.scope))
  )
}

const create = <E>(below: JsonRpc.Service<E>, scope: string) =>
  Effect.map(asked(below, "eth_newPendingTransactionFilter", [], scope), ({ answer, answeredBy }) => ({
    upstream: answeredBy,
    id: answer
  }))

/** Asks in a call of its own, and tells who answered. */
const asked = <E>(below: JsonRpc.Service<E>, method: string, params: ReadonlyArray<unknown>, scope: string) =>
  Effect.withFiber((fiber) => {
    const report = new Call.Recorder()
    const call = new Call.Call(report, fiber.getRef(Call.Current)?.deadline)
    return below.request(JsonRpc.makeRequest(method, params)).pipe(
      Effect.map((answer) => ({ answer, answeredBy: report.answeredBy })),
      Effect.provideService(Call.Current, call),
      Effect.provideService(Call.Sticky, scope)
    )
  })
