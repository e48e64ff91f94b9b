/**
 * The share of requests that the cache answers, beside LRU and Belady's optimum, on seeded traces.
 *
 *     node packages/cache/bench/eviction.bench.ts
 *
 * Traces are synthetic: they show how the order behaves where few keys are hot, during a scan, and where the newest
 * blocks are the ones in demand. They do not say what your traffic is.
 */
import { Entries } from "../src/internal/entries.ts"
import { belady, heads, hitRate, lru, scanned, skewed } from "../test/support/traces.ts"

const asked = (capacity: number) => {
  const entries = new Entries({ entries: capacity, weight: Infinity })
  const write = {
    payload: undefined,
    ages: { fresh: Infinity, stale: 0, spare: 0 },
    weight: 0,
    tags: [],
    writtenAt: 0
  }
  return (key: string) => {
    if (entries.calm(key, () => 0) !== undefined) return true
    entries.put(key, write, 0)
    return false
  }
}

const traces = {
  "skew 0.7": skewed(1, 0.7),
  "skew 0.9": skewed(1, 0.9),
  "skew 1.1": skewed(1, 1.1),
  "skew 0.9 and a scan": scanned(1),
  "newest blocks": heads(1)
}

const percent = (rate: number) => `${(100 * rate).toFixed(1).padStart(6)} %`

console.log("trace                 capacity      LRU     ours   Belady")
for (const [name, keys] of Object.entries(traces)) {
  for (const capacity of [50, 200, 600]) {
    const rates = [hitRate(lru(capacity), keys), hitRate(asked(capacity), keys), belady(capacity, keys)]
    console.log(`${name.padEnd(21)} ${String(capacity).padStart(8)} ${rates.map(percent).join(" ")}`)
  }
}
