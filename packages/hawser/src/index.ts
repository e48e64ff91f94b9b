export { Breaker } from "@hawser/breaker"
export { ResponseCache } from "@hawser/cache"
export { Call, Events, JsonRpc, Options, Outcome, Relay, Trace } from "@hawser/core"
export { UpstreamPool } from "@hawser/pool"
export { Concurrency, RateLimit } from "@hawser/ratelimit"
export { Budget, Deadline, Fallback, Hedge, Retry, Timeout } from "@hawser/retry"
export {
  Chain,
  Filters,
  Finality,
  Head,
  Http,
  Key,
  Logs,
  Method,
  Multicall,
  RpcError,
  Snapshot,
  Sticky,
  Subscription,
  Write,
  Ws
} from "@hawser/rpc"
export * as Provider from "./Provider.ts"
export * as Stack from "./Stack.ts"
