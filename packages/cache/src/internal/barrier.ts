/**
 * Remembers what was invalidated, for values that come back from a store later: one that was written before the
 * invalidation is not believed, whether or not the store has heard of it.
 *
 * Times are wall-clock milliseconds, the only ones that a store and its other users can share.
 */
export class Barrier {
  private readonly keys = new Map<string, number>()
  private readonly tags = new Map<string, number>()
  private all = -Infinity
  private latest = -Infinity
  private readonly limit: number

  /** Remembers at most `limit` keys and tags each; beyond that it disbelieves everything written before. */
  constructor(limit = 10_000) {
    this.limit = limit
  }

  /** Takes note that something was written now, so that a wall clock set back does not make it outlive a barrier. */
  stamp(now: number): number {
    this.at(now)
    return now
  }

  raiseKey(key: string, now: number): void {
    this.raise(this.keys, key, now)
  }

  raiseTag(tag: string, now: number): void {
    this.raise(this.tags, tag, now)
  }

  raiseAll(now: number): void {
    this.all = this.at(now)
    this.keys.clear()
    this.tags.clear()
  }

  /** Whether a value written at `writtenAt` may be believed at `now`. One from the future may not. */
  passes(key: string, tags: ReadonlyArray<string>, writtenAt: number, now: number): boolean {
    return (
      writtenAt <= now &&
      writtenAt > this.all &&
      writtenAt > (this.keys.get(key) ?? -Infinity) &&
      tags.every((tag) => writtenAt > (this.tags.get(tag) ?? -Infinity))
    )
  }

  private raise(map: Map<string, number>, name: string, now: number): void {
    if (map.size >= this.limit && !map.has(name)) return this.raiseAll(now)
    map.set(name, this.at(now))
  }

  private at(now: number): number {
    return (this.latest = Math.max(this.latest, now))
  }
}
