import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import type { Stack } from "hawser"
import * as Rows from "./rows.ts"

export interface Naming {
  readonly prefix: string
  readonly labels: Readonly<Record<string, string>>
}

/** What there is, without prefix. */
export const rows = [
  ...Rows.client.map((row) => described(row, [])),
  ...Rows.upstream.map((row) => described(row, ["upstream"]))
]

function described<S>({ help, name, series }: Rows.Row<S>, labels: ReadonlyArray<string>) {
  return { name, help, labels: [...labels, ...Object.keys(series[0]!.labels ?? {})] }
}

/** Registers all that a status tells, until the scope ends. Layers that are not there have no series. */
export const register = (status: () => Stack.Status, naming: Naming): Effect.Effect<void, never, Scope.Scope> =>
  Effect.suspend(() => {
    const now = shared(status)
    const { upstreams } = now()
    return Effect.all(
      [
        ...Rows.client.flatMap((row) => pulled(row, naming, {}, now)),
        ...upstreams.flatMap(({ name: upstream }, i) =>
          Rows.upstream.flatMap((row) => pulled(row, naming, { upstream }, () => now().upstreams[i]!))
        )
      ],
      { discard: true }
    )
  })

// A scrape reads many numbers in one turn; they are all of one snapshot.
const shared = (status: () => Stack.Status): (() => Stack.Status) => {
  let current: Stack.Status | undefined
  return () => {
    if (current === undefined) {
      current = status()
      queueMicrotask(() => {
        current = undefined
      })
    }
    return current
  }
}

const pulled = <S>(
  { help, name, series }: Rows.Row<S>,
  { labels, prefix }: Naming,
  own: Readonly<Record<string, string>>,
  status: () => S
): Array<Effect.Effect<void, never, Scope.Scope>> =>
  series
    .filter(({ read }) => read(status()) !== undefined)
    .map((one) => {
      const options = { description: help, attributes: { ...labels, ...own, ...one.labels } }
      const read = () => one.read(status()) ?? NaN
      return name.endsWith("_total")
        ? pull(Metric.counter(prefix + name, { ...options, incremental: true }), () => ({
            count: read(),
            incremental: true
          }))
        : pull(Metric.gauge(prefix + name, options), () => ({ value: read() }))
    })

const pull = <State>(metric: Metric.Metric<number, State>, get: () => State): Effect.Effect<void, never, Scope.Scope> =>
  Effect.contextWith((context) =>
    Effect.asVoid(
      Effect.acquireRelease(
        Effect.sync(() => Metric.registerUnsafe(metric, context, { get, update: () => {}, modify: () => {} })),
        (registration) => Effect.sync(() => registration.remove())
      )
    )
  )
