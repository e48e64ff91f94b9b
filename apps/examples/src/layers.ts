import { Effect } from "effect"
import { Breaker, Deadline, Hedge, Http, JsonRpc, RateLimit, ResponseCache, Retry, Timeout, UpstreamPool } from "hawser"

const upstream = (url: string) =>
  Http.layer({ url }).pipe(
    Timeout.layer("4 seconds"),
    RateLimit.layer({ limit: 25, window: "1 second" }),
    Breaker.layer({ consecutive: 5 })
  )

const live = UpstreamPool.layer([
  upstream("https://ethereum-rpc.publicnode.com"),
  { upstream: upstream("https://eth.drpc.org"), tier: 1 }
]).pipe(
  Hedge.layer({ quantile: 0.95 }),
  Retry.layer({ schedule: Retry.backoff({ base: "50 millis" }) }),
  ResponseCache.layer({ capacity: 10_000 }),
  Deadline.layer("10 seconds")
)

const program = Effect.flatMap(JsonRpc.client(), (rpc) => rpc.request(JsonRpc.makeRequest("eth_blockNumber")))

console.log(await Effect.runPromise(Effect.provide(program, live)))
