export interface Entry<out A> {
  readonly key: string
  readonly value: A
  used: number
  running: number
}

/**
 * Values by key, each kept as long as it is in use and for a while after. There is no timer: whoever touches one
 * entry drops those whose time is over. Entries are in the order of their last use, so that this costs nothing but the
 * dropping itself.
 */
export class Registry<A> {
  readonly entries = new Map<string, Entry<A>>()
  private readonly idle: number
  private readonly make: (key: string) => A
  private readonly retire: (value: A) => boolean

  constructor(idle: number, make: (key: string) => A, retire: (value: A) => boolean) {
    this.idle = idle
    this.make = make
    this.retire = retire
  }

  /** The entry of a key, made if there is none. */
  touch(key: string, now: number): Entry<A> {
    this.sweep(now)
    const entry = this.entries.get(key) ?? { key, value: this.make(key), used: now, running: 0 }
    this.renew(entry, now)
    return entry
  }

  /** Puts an entry last in line. */
  renew(entry: Entry<A>, now: number): void {
    entry.used = now
    this.entries.delete(entry.key)
    this.entries.set(entry.key, entry)
  }

  /** Drops what has been idle for too long, unless it is in use or does not want to go. */
  sweep(now: number): void {
    for (const entry of this.entries.values()) {
      if (now - entry.used < this.idle) return
      this.entries.delete(entry.key)
      if (entry.running > 0 || !this.retire(entry.value)) this.renew(entry, now)
    }
  }
}
