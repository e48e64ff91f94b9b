import { Budget, Retry } from "@hawser/retry"
import { Effect, Schedule } from "effect"

let requests = 0
const outage = Effect.suspend(() => Effect.fail(`503, request ${++requests}`))

const program = Effect.gen(function* () {
  const budget = Budget.make({ ratio: 0.2, floor: 3 })
  const retry = yield* Retry.make({ attempts: 3, schedule: Schedule.forever, budget })
  for (let call = 0; call < 1000; call++) yield* Effect.ignore(retry.execute(outage))
  return `${requests} requests for 1000 calls, ${retry.inspect().denied.budget} times out of budget`
})

console.log(await Effect.runPromise(program)) // 1203 requests for 1000 calls, 999 times out of budget
