import { Concurrency } from "@hawser/ratelimit"
import { Effect } from "effect"

const program = Effect.gen(function* () {
  const uploads = yield* Concurrency.make({ limit: 2, maxQueue: 1 })
  const upload = uploads
    .execute(Effect.as(Effect.yieldNow, "done"))
    .pipe(Effect.catchIf(Concurrency.isConcurrencyFull, ({ reason }) => Effect.succeed(`no room: ${reason}`)))

  // Two run, one stands in line, the fourth is refused at once.
  return yield* Effect.all([upload, upload, upload, upload], { concurrency: "unbounded" })
})

console.log(await Effect.runPromise(program)) // [ 'done', 'done', 'done', 'no room: queue' ]
