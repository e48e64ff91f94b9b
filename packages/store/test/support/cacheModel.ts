import { assert } from "@effect/vitest"
import type { ResponseCache } from "@hawser/cache"

/** A second level in the plainest way there is. */
export class CacheModel {
  private readonly entries = new Map<string, { readonly entry: ResponseCache.Stored; readonly until: number }>()

  set(key: string, entry: ResponseCache.Stored, until: number): void {
    this.entries.set(key, { entry, until })
  }

  invalidate(key: string): void {
    this.entries.delete(key)
  }

  invalidateTag(tag: string): void {
    for (const [key, { entry }] of this.entries) if (entry.tags.includes(tag)) this.entries.delete(key)
  }

  clear(): void {
    this.entries.clear()
  }

  /** What has outlived its time may still be there: the cache in front of it knows. */
  check(key: string, found: ResponseCache.Stored | undefined, now: number): void {
    const known = this.entries.get(key)
    if (found === undefined && (known === undefined || known.until <= now)) return
    // As JSON has it: what is undefined is not there.
    assert.deepStrictEqual(found, known && JSON.parse(JSON.stringify(known.entry)))
  }
}
