/** Seeded request traces, and the two rulers that hit rates are held against: LRU and Belady's optimum. */

export const seeded = (seed: number) => (): number => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}

const zipf = (keys: number, skew: number, random: () => number) => {
  const sums = new Float64Array(keys)
  let total = 0
  for (let i = 0; i < keys; i++) sums[i] = total += 1 / (i + 1) ** skew
  return () => {
    const target = random() * total
    let low = 0
    let high = keys - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (sums[middle]! < target) low = middle + 1
      else high = middle
    }
    return low
  }
}

const trace = (length: number, next: (i: number) => number): ReadonlyArray<string> =>
  Array.from({ length }, (_, i) => `key ${next(i)}`)

/** Few keys are hot, many are cold. */
export const skewed = (seed: number, skew: number) => trace(12_000, zipf(4_000, skew, seeded(seed)))

/** The same, while an indexer walks through keys that nobody asks for twice. */
export const scanned = (seed: number) => {
  const random = seeded(seed)
  const hot = zipf(4_000, 0.9, random)
  return trace(12_000, (i) => (random() < 0.5 ? 1e6 + i : hot()))
}

/** The newest blocks are in demand: what was asked for lately is asked for again, and soon never more. */
export const heads = (seed: number) => {
  const random = seeded(seed)
  const recent = (i: number) => Math.max(0, Math.floor(i / 20) + Math.floor(Math.log(1 - random()) * 30))
  return trace(20_000, (i) => recent(i) * 20 + Math.floor(random() * 20))
}

/** The share of requests that `has` answers, each request then being `put`. */
export const hitRate = (cache: (key: string) => boolean, keys: ReadonlyArray<string>): number => {
  let hits = 0
  for (const key of keys) if (cache(key)) hits++
  return hits / keys.length
}

export const lru = (capacity: number) => {
  const entries = new Set<string>()
  return (key: string) => {
    const hit = entries.delete(key)
    entries.add(key)
    if (entries.size > capacity) entries.delete(entries.values().next().value!)
    return hit
  }
}

/** What a cache could do that knows the future: gives up what is needed last, and takes nothing that is needed later. */
export const belady = (capacity: number, keys: ReadonlyArray<string>): number => {
  const following = new Map<string, number>()
  const next = keys
    .map((_, back) => {
      const i = keys.length - 1 - back
      const at = following.get(keys[i]!) ?? Infinity
      following.set(keys[i]!, i)
      return at
    })
    .toReversed()
  const entries = new Map<string, number>()
  let hits = 0
  for (const [i, key] of keys.entries()) {
    if (entries.has(key)) hits++
    entries.set(key, next[i]!)
    if (entries.size <= capacity) continue
    let last = key
    for (const [candidate, at] of entries) if (at > entries.get(last)!) last = candidate
    entries.delete(last)
  }
  return hits / keys.length
}
