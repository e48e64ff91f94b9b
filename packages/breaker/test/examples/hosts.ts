import { Breaker } from "@hawser/breaker"
import { Effect } from "effect"

const program = Effect.gen(function* () {
  const hosts = yield* Breaker.makeKeyed({ consecutive: 1, idle: "1 hour" })

  yield* Effect.ignore(hosts.execute("eu.example", Effect.fail("timeout")))
  yield* hosts.execute("us.example", Effect.succeed("ok"))

  return Object.entries(hosts.inspect()).map(([host, { state }]) => `${host} ${state}`)
})

console.log(await Effect.runPromise(program)) // [ 'eu.example open', 'us.example closed' ]
