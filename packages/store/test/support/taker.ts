// A process that takes from a shared limit until nothing is left, and tells each time that it got something.
import { Effect } from "effect"
import { once } from "node:events"
import { writeSync } from "node:fs"
import { Sqlite } from "../../src/index.ts"
import { rates } from "./rates.ts"

const program = Effect.gen(function* () {
  const store = yield* Sqlite.make({ path: process.argv[2]! })
  const quota = yield* store.rateLimit({ timeout: "1 minute" }).quota("node", rates)
  writeSync(1, "ready")
  yield* Effect.promise(() => once(process.stdin, "data"))
  for (;;) {
    const answer = yield* quota.take(1)
    if (answer?.permit === undefined) return
    writeSync(1, ".")
  }
})

await Effect.runPromise(Effect.scoped(program))
process.stdin.destroy()
