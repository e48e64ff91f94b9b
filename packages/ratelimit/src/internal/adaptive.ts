// How many at once: what answers and their absence say about an upstream's capacity. Pure.

/** What one request says: it was answered, it was dropped (no answer in time, or too much asked), or nothing. */
export type Sample = "success" | "dropped" | "ignored"

export interface AdaptiveOptions {
  readonly initial: number
  readonly min: number
  readonly max: number
  /** What a decrease leaves. */
  readonly decrease: number
  /** Milliseconds. */
  readonly window: number
}

/** What is known of a request when it ends. */
export interface Ended {
  /** Its number: requests are numbered as they start. */
  readonly number: number
  /** Milliseconds it took. */
  readonly elapsed: number
  /** How many were running, itself included. */
  readonly inflight: number
  readonly kind: string
}

/**
 * AIMD: one more for each round of `limit` answers, as TCP does, and a tenth less when something is dropped.
 *
 * A burst of drops is one signal: at most one decrease in a window, and none for a request that had started before the
 * last decrease. Answers count only while at least half of the limit is in use, else an idle limit would drift to its
 * maximum and be worth nothing when it is needed.
 */
export class Aimd {
  /** How many at once; a fraction is on its way to the next whole number. */
  limit: number
  protected readonly options: AdaptiveOptions
  private latest = -Infinity
  private decreasedAt = -Infinity
  private decreasedAfter = 0

  constructor(options: AdaptiveOptions) {
    this.options = options
    this.limit = options.initial
  }

  /** `started`: the number of the request that started last. */
  sample(sample: Sample, ended: Ended, started: number, now: number): void {
    if (sample === "ignored") return
    this.latest = Math.max(this.latest, now)
    if (sample === "success") this.succeeded(ended, this.latest)
    else if (ended.number > this.decreasedAfter && this.latest - this.decreasedAt >= this.options.window) {
      this.decreasedAfter = started
      this.decreasedAt = this.latest
      this.dropped()
    }
  }

  protected succeeded(ended: Ended, _now: number): void {
    if (ended.inflight * 2 >= this.limit) this.set(this.limit + 1 / this.limit)
  }

  protected dropped(): void {
    this.set(this.limit * this.options.decrease)
  }

  protected set(limit: number): void {
    if (!Number.isFinite(limit)) return
    this.limit = Math.min(this.options.max, Math.max(this.options.min, limit))
  }
}

/** Constants of Netflix's Gradient2. */
const tolerance = 1.5
const headroom = 4
const smoothing = 0.2
/** Answers that make a window. */
const enough = 10
/** How much of the latest latency the usual one takes over in a window: a step is forgotten in about six hundred. */
const ageing = 1 / 600
/** More kinds than this are counted as one. */
const maxKinds = 64

class Latency {
  usual = 0
  sum = 0
  count = 0

  /** How much of the limit the latency of this window allows, from a half to all. */
  gradient(): number {
    const recent = Math.max(this.sum / this.count, 0.001)
    this.usual = this.usual === 0 ? recent : this.usual + (recent - this.usual) * ageing
    if (this.usual > recent * 2) this.usual *= 0.95
    return Math.min(1, Math.max(0.5, (tolerance * this.usual) / recent))
  }
}

/**
 * Gradient2: lowers the limit when answers take longer than usual, before anything is dropped; what is usual is
 * learned for each kind of request, since a mixture of cheap and dear ones would look like a slower upstream.
 */
export class Gradient extends Aimd {
  private readonly kinds = new Map<string, Latency>()
  private windowStart: number | undefined = undefined
  private count = 0
  private inflight = 0
  private hasDropped = false

  protected override succeeded({ elapsed, inflight, kind }: Ended, now: number): void {
    if (!Number.isFinite(elapsed) || elapsed < 0) return
    this.windowStart ??= now
    const latency = this.latencyOf(kind)
    latency.sum += elapsed
    latency.count++
    this.count++
    this.inflight = Math.max(this.inflight, inflight)
    if (this.count >= enough && now - this.windowStart >= this.options.window) this.turn(now)
  }

  protected override dropped(): void {
    this.hasDropped = true
    super.dropped()
  }

  private turn(now: number): void {
    let allowed = 0
    for (const latency of this.kinds.values()) {
      if (latency.count === 0) continue
      allowed += (latency.gradient() * latency.count) / this.count
      latency.sum = latency.count = 0
    }
    const limit = this.limit * (1 - smoothing) + (this.limit * allowed + headroom) * smoothing
    if (this.inflight * 2 >= this.limit && !this.hasDropped) this.set(limit)
    this.windowStart = now
    this.count = this.inflight = 0
    this.hasDropped = false
  }

  private latencyOf(kind: string): Latency {
    const name = this.kinds.has(kind) || this.kinds.size < maxKinds ? kind : ""
    let latency = this.kinds.get(name)
    if (latency === undefined) this.kinds.set(name, (latency = new Latency()))
    return latency
  }
}
