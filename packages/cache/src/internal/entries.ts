/**
 * What the cache holds: values with their ages, found by key and by tag, never more of them than the limits allow.
 *
 * Three phases follow each other, each as long as its age says: *fresh*, *stale* (usable while a new value is on its
 * way) and *spare* (usable only if no new value can be had). Which phase an entry is in is computed when it is read.
 */
import { Eviction, hash, type Limits, Resident, touch } from "./eviction.ts"

/** How long each phase lasts, in milliseconds. */
export interface Ages {
  readonly fresh: number
  readonly stale: number
  readonly spare: number
}

export class Entry extends Resident {
  readonly key: string
  payload: unknown = undefined
  tags: ReadonlyArray<string> = noTags
  writtenAt = 0
  /** Until then a read has nothing to do but return the value. */
  calmUntil = 0
  freshUntil = 0
  staleUntil = 0
  /** Whether anybody has read it since it was written. */
  read = false
  /** Refreshes that failed since it was written, and when the next may start. */
  failures = 0
  retryAt = -Infinity

  constructor(key: string) {
    super(hash(key))
    this.key = key
  }
}

/** What to write. */
export interface Write {
  readonly payload: unknown
  readonly ages: Ages
  readonly weight: number
  readonly tags: ReadonlyArray<string>
  /** When the value was true; earlier than now if it comes from elsewhere. */
  readonly writtenAt: number
}

export const noTags: ReadonlyArray<string> = []

export class Entries {
  evictions = 0
  private readonly entries = new Map<string, Entry>()
  private readonly tagged = new Map<string, Set<Entry>>()
  private readonly order: Eviction
  private readonly limits: Limits
  private readonly calmPart: number
  private readonly evicted: (key: string) => void
  private hand: Iterator<Entry>

  /** `calmPart` is the part of the fresh phase during which a read has nothing to do; 1 if nobody refreshes ahead. */
  constructor(limits: Limits, calmPart = 1, evicted: (key: string) => void = () => {}) {
    this.limits = limits
    this.calmPart = calmPart
    this.evicted = evicted
    this.order = new Eviction(limits)
    this.hand = this.entries.values()
  }

  /** Counts those that have expired and were not yet swept. */
  get size(): number {
    return this.entries.size
  }

  get weight(): number {
    return this.order.weight
  }

  /** The entry of a key, unless it is of no more use. Not a read: see {@link Entries.read}. */
  find(key: string, now: number): Entry | undefined {
    const entry = this.entries.get(key)
    return entry !== undefined && now < entry.until ? entry : undefined
  }

  /**
   * The entry of a key if a read has nothing more to do than to return its value. Counts as a read. The clock is not
   * even asked where an entry never ends, for it costs more than all the rest.
   */
  calm(key: string, now: () => number): Entry | undefined {
    const entry = this.entries.get(key)
    if (entry === undefined || (entry.calmUntil !== Infinity && now() >= entry.calmUntil)) return undefined
    this.read(entry)
    return entry
  }

  /** Counts a read, which never prolongs a life. */
  read(entry: Entry): void {
    touch(entry)
    entry.read = true
  }

  /** Writes a value, or removes the old one if the new one is not worth keeping. */
  put(key: string, write: Write, now: number): void {
    this.sweep(key, now)
    const until = write.writtenAt + write.ages.fresh + write.ages.stale + write.ages.spare
    if (until <= now || write.weight > this.limits.weight) return this.delete(key)
    const known = this.entries.get(key)
    const entry = known ?? new Entry(key)
    this.retag(entry, write.tags)
    entry.payload = write.payload
    entry.writtenAt = write.writtenAt
    entry.calmUntil = write.writtenAt + write.ages.fresh * this.calmPart
    entry.freshUntil = write.writtenAt + write.ages.fresh
    entry.staleUntil = entry.freshUntil + write.ages.stale
    entry.until = until
    entry.read = false
    entry.failures = 0
    entry.retryAt = -Infinity
    this.order.reweigh(entry, write.weight)
    if (known === undefined) {
      this.entries.set(key, entry)
      this.order.add(entry)
    }
    for (let out = this.order.evict(now); out !== undefined; out = this.order.evict(now)) this.evict(out as Entry, now)
  }

  delete(key: string): void {
    const entry = this.entries.get(key)
    if (entry !== undefined) this.remove(entry)
  }

  deleteTag(tag: string): void {
    const entries = this.tagged.get(tag)
    if (entries !== undefined) for (const entry of entries) this.remove(entry)
  }

  clear(): void {
    for (const entry of this.entries.values()) this.remove(entry)
  }

  private evict(entry: Entry, now: number): void {
    this.remove(entry)
    if (entry.until <= now) return
    this.evictions++
    this.evicted(entry.key)
  }

  private remove(entry: Entry): void {
    this.entries.delete(entry.key)
    this.order.remove(entry)
    this.retag(entry, noTags)
  }

  private retag(entry: Entry, tags: ReadonlyArray<string>): void {
    if (entry.tags === tags) return
    for (const tag of entry.tags) {
      const others = this.tagged.get(tag)
      if (others?.delete(entry) === true && others.size === 0) this.tagged.delete(tag)
    }
    entry.tags = tags
    for (const tag of tags) {
      const others = this.tagged.get(tag)
      if (others === undefined) this.tagged.set(tag, new Set([entry]))
      else others.add(entry)
    }
  }

  // Looks at two entries for each one written, so that what has expired is gone after one round of writes. The one
  // that is being written keeps its place in the order.
  private sweep(writing: string, now: number): void {
    for (let looks = 0; looks < 2; looks++) {
      const next = this.hand.next()
      if (next.done === true) {
        this.hand = this.entries.values()
        return
      }
      if (next.value.until <= now && next.value.key !== writing) this.remove(next.value)
    }
  }
}
