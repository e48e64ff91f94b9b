import { JsonRpc } from "@hawser/core"
import { Fallback } from "@hawser/retry"
import { Data, Effect } from "effect"

class OracleDown extends Data.TaggedError("OracleDown")<{ readonly status: number }> {}

const askOracle: Effect.Effect<number, OracleDown> = Effect.fail(new OracleDown({ status: 503 }))

const program = Effect.gen(function* () {
  const lastKnown = yield* Fallback.make({ on: "OracleDown", run: () => Effect.succeed(1999) })
  const { report, value } = yield* JsonRpc.explain(lastKnown.execute(askOracle))
  return `${value}${report.degraded ? ", but not from the oracle" : ""}`
})

console.log(await Effect.runPromise(program)) // 1999, but not from the oracle
