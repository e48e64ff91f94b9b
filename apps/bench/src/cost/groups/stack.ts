import {
  circuitBreaker,
  ConsecutiveBreaker,
  ExponentialBackoff,
  handleAll,
  retry,
  timeout,
  TimeoutStrategy,
  wrap
} from "cockatiel"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { Breaker, JsonRpc, Retry, Stack, Timeout } from "hawser"
import { effects, type Group, npm, ours } from "../Cases.ts"
import { made } from "../Harness.ts"
import { theirs } from "./breaker.ts"
import { micro, settled, turn, turned } from "./works.ts"

const request = JsonRpc.makeRequest("eth_getBalance", ["0x52908400098527886E0F7030069857D2E4169EE7", "0x10d4f"])

/** The default stack over three upstreams that answer like this. */
const stackOver = (answer: Effect.Effect<number>): JsonRpc.Service<unknown> => {
  const upstreams = ["a", "b", "c"].map((name) =>
    Layer.succeed(JsonRpc.upstream<never>())({
      name,
      request: ({ method }) => (method === "eth_chainId" ? Effect.succeed("0x1") : Effect.as(answer, "0x1")),
      inspect: () => ({ name })
    })
  )
  const live = Stack.layer({ chainId: 1, upstreams, cache: false })
  // Its scope is as long as the process.
  const context = made(Effect.flatMap(Scope.make(), (scope) => Layer.buildWithScope(live, scope)))
  return Context.get(context, JsonRpc.client<unknown>())
}

/** What a careful user builds of cockatiel's parts. */
const cockatiel = () =>
  wrap(
    retry(handleAll, { maxAttempts: 5, backoff: new ExponentialBackoff() }),
    circuitBreaker(handleAll, { halfOpenAfter: 5000, breaker: new ConsecutiveBreaker(10) }),
    timeout(4000, TimeoutStrategy.Aggressive)
  )

export const stack: Group = {
  name: "stack",
  about: "the default stack of three upstreams, cache off, beside a retry, a breaker and a timeout",
  cases: () => {
    const quick = stackOver(micro)
    const slow = stackOver(turn)
    const wrapped = cockatiel()
    const breaker = theirs()
    const three = made(Effect.all({ breaker: Breaker.make(), retry: Retry.make(), timeout: Timeout.make("4 seconds") }))
    const same = (work: Effect.Effect<number>) =>
      three.retry.execute(three.breaker.execute(three.timeout.execute(work)))
    const schedule = Schedule.exponential("100 millis")
    const own = (work: Effect.Effect<number>) =>
      Effect.retry(breaker.execute(Effect.timeout(work, "4 seconds"), { key: "a" }), { schedule, times: 5 })
    return [
      ours("Stack, a microtask", () => quick.request(request), {
        waits: true,
        micros: 16,
        lessThan: "cockatiel wrap, a microtask"
      }),
      ours("Retry, Breaker, Timeout, a microtask", () => same(micro), { waits: true }),
      effects("effect's parts, a microtask", () => own(micro), { waits: true }),
      npm("cockatiel wrap, a microtask", () => wrapped.execute(settled)),
      effects("nothing, a microtask", () => micro, { waits: true }),
      ours("Stack, a turn, 64 at once", () => slow.request(request), { waits: true, width: 64 }),
      ours("Retry, Breaker, Timeout, a turn, 64 at once", () => same(turn), { waits: true, width: 64 }),
      effects("effect's parts, a turn, 64 at once", () => own(turn), { waits: true, width: 64 }),
      npm("cockatiel wrap, a turn, 64 at once", () => wrapped.execute(turned), { width: 64 }),
      effects("nothing, a turn, 64 at once", () => turn, { waits: true, width: 64 })
    ]
  }
}
