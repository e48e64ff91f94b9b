/** Counts the calls of the recent past, and the bad ones among them. */
export interface Window {
  readonly total: number
  readonly bad: number
  /** Adds a call that ended now. */
  readonly add: (bad: boolean, now: number) => void
  /** Drops what is too old by now. Reads are exact after it. */
  readonly forget: (now: number) => void
  readonly save: (now: number) => SavedWindow
  /** Takes over what was saved by a window of the same shape; from any other it starts empty. */
  readonly load: (saved: SavedWindow, now: number) => void
}

/** What a window counts over: the last `calls` calls, or the last `millis` milliseconds. */
export type Span = { readonly calls: number } | { readonly millis: number }

/** A window as plain data, without a point in time: it may be loaded under another clock. */
export type SavedWindow =
  /** One character for each call, the oldest first: `1` is a bad one. */
  | { readonly calls: string }
  /** Buckets, the newest first; `elapsed` of the newest one's `width` has passed. */
  | {
      readonly width: number
      readonly elapsed: number
      readonly totals: ReadonlyArray<number>
      readonly bads: ReadonlyArray<number>
    }

export const make = (span: Span, now: number): Window =>
  "calls" in span ? new CountWindow(span.calls) : new TimeWindow(span.millis, now)

/** The last `size` calls, exactly. */
export class CountWindow implements Window {
  total = 0
  bad = 0
  private readonly ring: Uint8Array
  private next = 0

  constructor(size: number) {
    this.ring = new Uint8Array(size)
  }

  add(bad: boolean): void {
    const { next, ring } = this
    if (this.total === ring.length) this.bad -= ring[next]!
    else this.total++
    ring[next] = bad ? 1 : 0
    if (bad) this.bad++
    this.next = next + 1 === ring.length ? 0 : next + 1
  }

  forget(): void {}

  save(): SavedWindow {
    const { ring, total } = this
    const oldest = this.next - total + ring.length
    return { calls: Array.from({ length: total }, (_, i) => ring[(oldest + i) % ring.length]).join("") }
  }

  load(saved: SavedWindow): void {
    if ("calls" in saved) for (const call of saved.calls) this.add(call === "1")
  }
}

const buckets = 10

/**
 * The last ten buckets of a tenth of the span each, with exact counts: what it reports lies between the exact counts
 * of the last nine and of the last ten tenths.
 *
 * Buckets are counted from the moment the window was made, so that decisions do not depend on the clock's origin.
 */
export class TimeWindow implements Window {
  total = 0
  bad = 0
  protected readonly width: number
  protected readonly totals: Array<number> = Array.from({ length: buckets }, () => 0)
  protected readonly bads: Array<number> = Array.from({ length: buckets }, () => 0)
  protected newest = 0
  private origin: number

  constructor(millis: number, now: number) {
    this.width = millis / buckets
    this.origin = now
  }

  add(bad: boolean, now: number): void {
    this.forget(now)
    const slot = this.newest % buckets
    this.totals[slot]!++
    this.total++
    if (bad) {
      this.bads[slot]!++
      this.bad++
    }
  }

  forget(now: number): void {
    const reached = Math.floor((now - this.origin) / this.width)
    // After a long pause every bucket is cleared once, however long it was.
    for (let stale = Math.min(reached - this.newest, buckets); stale > 0; stale--) {
      this.clear((reached - stale + 1) % buckets)
    }
    if (reached > this.newest) this.newest = reached
  }

  protected clear(slot: number): void {
    this.total -= this.totals[slot]!
    this.bad -= this.bads[slot]!
    this.totals[slot] = 0
    this.bads[slot] = 0
  }

  save(now: number): SavedWindow {
    this.forget(now)
    const newestFirst = (counts: ReadonlyArray<number>) =>
      counts.map((_, age) => counts[(this.newest - age + buckets) % buckets]!)
    return {
      width: this.width,
      elapsed: Math.max(0, now - this.origin - this.newest * this.width),
      totals: newestFirst(this.totals),
      bads: newestFirst(this.bads)
    }
  }

  load(saved: SavedWindow, now: number): void {
    if (!("width" in saved) || saved.width !== this.width || saved.totals.length !== buckets) return
    this.origin = now - Math.min(saved.elapsed, this.width)
    this.newest = 0
    this.total = 0
    this.bad = 0
    for (let age = 0; age < buckets; age++) {
      const slot = (buckets - age) % buckets
      this.total += this.totals[slot] = saved.totals[age]!
      this.bad += this.bads[slot] = saved.bads[age]!
    }
  }
}
