import { Breaker } from "@hawser/breaker"
import { Effect } from "effect"

const program = Effect.gen(function* () {
  const breaker = yield* Breaker.make({ name: "payments", consecutive: 3 })
  const charge = breaker.execute(Effect.fail("502 Bad Gateway"))

  // Three failures in a row open the circuit.
  for (let i = 0; i < 3; i++) yield* Effect.ignore(charge)

  // The fourth call is refused without running.
  return yield* charge.pipe(
    Effect.catchIf(Breaker.isCircuitOpen, ({ reason, upstream }) => Effect.succeed(`${upstream} is ${reason}`))
  )
})

console.log(await Effect.runPromise(program)) // payments is open
