/** What is known of each upstream, in words for people. */
import type { Stack } from "hawser"
import { time } from "./Words.ts"

export interface Upstream {
  readonly name: string
  /**
   * `up`: gets its share. `avoided`: the others are so much cheaper that it gets next to nothing. `open`, `paused`, `wrong
   * chain`: gets nothing. `probing`: one request finds out whether it is back. `unknown`: was not asked yet.
   */
  readonly state: "up" | "avoided" | "open" | "probing" | "paused" | "wrong chain" | "unknown"
  /** Milliseconds that an answer is expected to take. */
  readonly latency: number | undefined
  readonly inFlight: number
  /** The newest block it has told of. */
  readonly head: number | undefined
  /** Why it gets nothing, or next to nothing. */
  readonly leftOut: string | undefined
  readonly lastError: string | undefined
  /** Requests sent to it. */
  readonly asked: number
}

export const describe = ({ upstreams }: Stack.Status): ReadonlyArray<Upstream> => {
  const cheapest = Math.min(...upstreams.map(costOf))
  return upstreams.map((upstream) => ({
    name: upstream.name,
    ...stateOf(upstream, cheapest),
    latency: upstream.pool !== undefined && upstream.pool.successes > 0 ? Math.round(upstream.pool.latency) : undefined,
    inFlight: upstream.pool?.inflight ?? 0,
    head: upstream.head?.latest ?? upstream.health?.head,
    lastError: upstream.pool?.lastError,
    asked: upstream.pool?.asked ?? 0
  }))
}

const stateOf = (upstream: Stack.UpstreamStatus, cheapest: number): Pick<Upstream, "state" | "leftOut"> => {
  const { breaker, chain, pool, rateLimit } = upstream
  if (chain?.actual !== undefined && chain.actual !== chain.expected) {
    return { state: "wrong chain", leftOut: `${chain.actual}, not ${chain.expected}` }
  }
  if (breaker?.state === "open") {
    const { retryAfter = 0 } = breaker
    return { state: "open", leftOut: retryAfter > 0 ? `asked again in ${time(retryAfter)}` : "asked again next" }
  }
  if (breaker?.state === "half-open") return { state: "probing", leftOut: "one request at a time" }
  if (rateLimit !== undefined && rateLimit.pausedFor > 0) {
    return { state: "paused", leftOut: `${time(rateLimit.pausedFor)} left` }
  }
  if (pool === undefined || pool.asked === 0) return { state: "unknown", leftOut: undefined }
  if (pool.out === "ejected" || pool.out === "draining") return { state: "avoided", leftOut: pool.leftOut ?? pool.out }
  if (costOf(upstream) < 10 * Math.max(1, cheapest)) return { state: "up", leftOut: undefined }
  const why = pool.failing > 0.01 ? `failed ${Math.round(pool.failing * 100)} % of late` : `takes ${time(pool.latency)}`
  return { state: "avoided", leftOut: why }
}

/** What a request costs there, were it alone. */
const costOf = ({ pool }: Stack.UpstreamStatus): number => (pool === undefined ? 0 : pool.cost / (pool.inflight + 1))
