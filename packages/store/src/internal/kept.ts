/** Values by key, each until its time is over. No timer: each write looks at two of the others. */
export class Kept<A> {
  private readonly entries = new Map<string, { readonly value: A; readonly until: number }>()
  private hand = this.entries.entries()

  get size(): number {
    return this.entries.size
  }

  get(key: string, now: number): A | undefined {
    const entry = this.entries.get(key)
    return entry !== undefined && now < entry.until ? entry.value : undefined
  }

  set(key: string, value: A, until: number, now: number): void {
    for (let looks = 0; looks < 2; looks++) {
      const next = this.hand.next()
      if (next.done === true) {
        this.hand = this.entries.entries()
        break
      }
      if (next.value[1].until <= now) this.entries.delete(next.value[0])
    }
    this.entries.set(key, { value, until })
  }

  delete(key: string): void {
    this.entries.delete(key)
  }

  deleteWhere(matches: (value: A) => boolean): void {
    for (const [key, { value }] of this.entries) if (matches(value)) this.entries.delete(key)
  }

  clear(): void {
    this.entries.clear()
  }
}
