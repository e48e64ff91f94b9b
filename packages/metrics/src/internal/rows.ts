import type { Stack } from "hawser"

/** One series: its labels, and how its number is read. */
export interface Series<S> {
  readonly labels?: Readonly<Record<string, string>>
  /** `undefined`: there is nothing to tell, and never will be, as the layer or the option is not there. */
  readonly read: (status: S) => number | undefined
}

/** One metric. Counters end in `_total`, times are in seconds, shares are from 0 to 1. */
export interface Row<S> {
  readonly name: string
  readonly help: string
  readonly series: ReadonlyArray<Series<S>>
}

const row = <S>(name: string, help: string, read: Series<S>["read"]): Row<S> => ({ name, help, series: [{ read }] })

/** One series for each value of a label. */
const by = <S, const V extends string>(
  name: string,
  help: string,
  label: string,
  values: ReadonlyArray<V>,
  read: (status: S, value: V) => number | undefined
): Row<S> => ({
  name,
  help,
  series: values.map((value) => ({ labels: { [label]: value }, read: (status) => read(status, value) }))
})

const seconds = (millis: number | undefined): number | undefined => (millis === undefined ? undefined : millis / 1000)

type Upstream = Stack.UpstreamStatus

const admissions = (layer: "rateLimit" | "concurrency", prefix: string, what: string): Array<Row<Upstream>> => [
  by(
    `${prefix}_requests_total`,
    `What the ${what} did with requests: admitted, of those queued first, refused, given up while queued.`,
    "verdict",
    ["admitted", "queued", "refused", "abandoned"],
    (status, verdict) => status[layer]?.[verdict]
  ),
  row(`${prefix}_waiting`, `Requests that stand in line at the ${what}.`, (status) => status[layer]?.waiting)
]

/** What is told of each upstream, under the label `upstream`. */
export const upstream: ReadonlyArray<Row<Upstream>> = [
  by(
    "upstream_requests_total",
    "Requests sent to an upstream, by outcome.",
    "outcome",
    ["success", "failure", "neutral"],
    ({ pool }, outcome) =>
      outcome === "success" ? pool?.successes : outcome === "failure" ? pool?.failures : pool?.neutrals
  ),
  row("upstream_refusals_total", "Requests that an upstream was left out of.", ({ pool }) => pool?.refusals),
  row("upstream_in_flight", "Requests under way to an upstream.", ({ pool }) => pool?.inflight),
  row("upstream_latency_seconds", "How long an answer is expected to take.", ({ pool }) => seconds(pool?.latency)),
  row("upstream_cost_seconds", "What the next request would cost: the lower, the likelier it goes here.", ({ pool }) =>
    seconds(pool?.cost)
  ),
  row(
    "upstream_failing_ratio",
    "The share of requests that fail, as an average that forgets.",
    ({ pool }) => pool?.failing
  ),
  by(
    "upstream_out",
    "1 for the reason why nothing is sent to an upstream, if there is one.",
    "reason",
    ["refused", "ejected", "draining", "at capacity"],
    ({ pool }, reason) => (pool === undefined ? undefined : Number(pool.out === reason))
  ),
  by(
    "breaker_state",
    "1 for the state of an upstream's breaker, 0 for the others.",
    "state",
    ["closed", "open", "half-open", "isolated"],
    ({ breaker }, state) => (breaker === undefined ? undefined : Number(breaker.state === state))
  ),
  row("breaker_openings_total", "How often a breaker has opened.", ({ breaker }) => breaker?.counters.opened),
  row("breaker_failure_ratio", "The share of failures in a breaker's window.", ({ breaker }) => breaker?.rate),
  row("breaker_slow_ratio", "The share of slow calls in a breaker's window.", ({ breaker }) => breaker?.slowRate),
  row("breaker_refusals_total", "Requests that a breaker has refused.", ({ breaker }) => breaker?.counters.refused),
  ...admissions("rateLimit", "rate_limit", "rate limit"),
  row("rate_limit_available", "Units that may pass at once.", ({ rateLimit }) => rateLimit?.available),
  row("rate_limit_share_ratio", "The share of the configured rate in force.", ({ rateLimit }) => rateLimit?.share),
  row("rate_limit_pause_seconds", "How long the pause goes on that an upstream asked for.", ({ rateLimit }) =>
    seconds(rateLimit?.pausedFor)
  ),
  ...admissions("concurrency", "concurrency", "concurrency limit"),
  row("concurrency_limit", "Requests that may be under way at once.", ({ concurrency }) => concurrency?.limit),
  row("concurrency_in_flight", "Requests that are under way.", ({ concurrency }) => concurrency?.inflight),
  row("timeouts_total", "Attempts that took too long.", ({ timeout }) => timeout?.timeouts),
  row("http_sockets", "Open sockets.", ({ http }) => http?.open),
  row("http_queued", "Requests that wait for a socket.", ({ http }) => http?.queued),
  row("http_batches_total", "JSON-RPC batches sent.", ({ http }) => http?.batch?.batches),
  row("http_batched_requests_total", "Requests that were sent in batches.", ({ http }) => http?.batch?.batched),
  row("http_batches_refused_total", "Batches that the node did not take.", ({ http }) => http?.batch?.refused),
  row(
    "http_batch_repeats_total",
    "Requests sent again, alone, for what happened to their batch.",
    ({ http }) => http?.batch?.repeated
  ),
  row("chain_verified", "Whether an upstream is known to be of the chain that is meant.", ({ chain }) =>
    chain === undefined ? undefined : Number(chain.verified)
  ),
  row("upstream_head", "The newest block that an upstream has shown; NaN before the first.", ({ head }) =>
    head === undefined ? undefined : (head.latest ?? NaN)
  ),
  row(
    "upstream_late",
    "Whether an upstream is too far behind the others to be asked about the newest block.",
    ({ head }) => (head === undefined ? undefined : Number(head.late))
  ),
  row("upstream_lag_blocks", "How many blocks an upstream is behind; NaN before its first.", ({ head }) =>
    head === undefined ? undefined : (head.lag?.blocks ?? NaN)
  ),
  row("ws_open", "Whether an upstream's WebSocket is open.", ({ ws }) =>
    ws === undefined ? undefined : Number(ws.open)
  ),
  row("ws_subscriptions", "Subscriptions at an upstream's WebSocket.", ({ ws }) => ws?.subscriptions),
  row("health_ok", "Whether an upstream is healthy by its health checks; NaN before the first.", ({ health }) =>
    health === undefined ? undefined : Number(health.ok ?? NaN)
  ),
  row("health_head", "The head that an upstream told of last; NaN before the first.", ({ health }) =>
    health === undefined ? undefined : (health.head ?? NaN)
  )
]

/** What is told of the client as a whole. */
export const client: ReadonlyArray<Row<Stack.Status>> = [
  row("retries_total", "Rounds beyond the first.", ({ retry }) => retry?.retries),
  row("retries_exhausted_total", "Calls whose schedule had ended.", ({ retry }) => retry?.exhausted),
  by(
    "retries_denied_total",
    "Rounds that were not started, and why.",
    "why",
    ["attempts", "hint", "deadline", "budget"],
    ({ retry }, why) => retry?.denied[why]
  ),
  row("budget_balance", "Extra requests that the budget would grant now.", ({ retry }) => retry?.budget?.balance),
  row("hedges_total", "Second requests sent before the first had failed.", ({ hedge }) => hedge?.hedges),
  row("hedges_won_total", "Hedges whose answer was used.", ({ hedge }) => hedge?.won),
  by(
    "hedges_denied_total",
    "Hedges that were not sent, and why.",
    "why",
    ["attempts", "deadline", "budget"],
    ({ hedge }, why) => hedge?.denied[why]
  ),
  row("hedge_delay_seconds", "How long a call waits before it is hedged.", ({ hedge }) => seconds(hedge?.delay)),
  by(
    "cache_answers_total",
    "Calls by what the cache did: answered, started a load, joined one.",
    "verdict",
    ["hits", "misses", "joined"],
    ({ cache }, verdict) => cache?.[verdict]
  ),
  by(
    "cache_stale_total",
    "Stale answers, and why they were given.",
    "why",
    ["revalidate", "error", "deadline"],
    ({ cache }, why) => cache?.stale[why]
  ),
  row("cache_entries", "Answers that are held.", ({ cache }) => cache?.size),
  row("cache_weight", "The weight of the answers that are held, in the unit of `weigh`.", ({ cache }) => cache?.weight),
  row("cache_in_flight", "Loads and refreshes under way.", ({ cache }) => cache?.inFlight),
  row("cache_evictions_total", "Answers given up for want of room.", ({ cache }) => cache?.evictions),
  row("cache_refreshes_total", "Refreshes.", ({ cache }) => cache?.refreshes),
  row("cache_refresh_failures_total", "Refreshes that failed.", ({ cache }) => cache?.refreshFailures),
  row("cache_store_hits_total", "Answers found in the second level.", ({ cache }) => cache?.store?.hits),
  row("cache_store_failures_total", "Failures of the second level.", ({ cache }) => cache?.store?.failures),
  by(
    "logs_queries_total",
    "Log queries that were taken apart, and the requests for their parts: all, those refused as too wide, those repeated.",
    "what",
    ["split", "parts", "refused", "repeated"],
    ({ logs }, what) => logs?.[what]
  ),
  by(
    "writes_total",
    "Signed transactions: sends, lost answers, answers to look-ups, those that found it, calls that ended in doubt.",
    "what",
    ["sent", "lost", "looks", "found", "inDoubt"],
    ({ write }, what) => write?.[what]
  ),
  by(
    "multicall_calls_total",
    "Calls to Multicall3, calls merged in them, calls that were asked alone after all.",
    "what",
    ["aggregates", "merged", "alone"],
    ({ multicall }, what) => multicall?.[what]
  ),
  by(
    "head",
    "Blocks of the chain: the highest that was told, below which no later answer is, and the newest that are known by tag.",
    "block",
    ["floor", "latest", "safe", "finalized"],
    ({ head }, block) => {
      if (head === undefined) return undefined
      return (block === "floor" ? head.floor : head[block]?.number) ?? NaN
    }
  ),
  row(
    "subscription_listeners",
    "Listeners to heads, logs and pending transactions.",
    ({ subscription }) => subscription?.listeners
  ),
  row("filters", "Filters that are kept.", ({ filters }) => filters?.filters),
  row("deadline_exceeded_total", "Calls that ran out of time.", ({ deadline }) => deadline?.exceeded)
]
