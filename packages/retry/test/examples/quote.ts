import { Deadline, Retry, Timeout } from "@hawser/retry"
import { Effect, Schedule } from "effect"

let asked = 0
const quote = Effect.suspend(() =>
  ++asked < 3 ? Effect.fail("503 Service Unavailable") : Effect.succeed(`42 at attempt ${asked}`)
)

const program = Effect.gen(function* () {
  const timeout = yield* Timeout.make("2 seconds")
  const retry = yield* Retry.make({ attempts: 4, schedule: Schedule.forever })
  const deadline = yield* Deadline.make("10 seconds")

  // Two seconds for each attempt, ten for all of them and the waits between.
  return yield* deadline.execute(retry.execute(timeout.execute(quote)))
})

console.log(await Effect.runPromise(program)) // 42 at attempt 3
