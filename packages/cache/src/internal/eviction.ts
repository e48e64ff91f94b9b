/**
 * Which entry to give up when room is short: S3-FIFO with a boundary that moves.
 *
 * New entries wait in a small queue. One that is read there goes on to the main queue; one that is not leaves the
 * cache, and only a hash of its key is remembered for a while, a ghost. A scan therefore flows through the small
 * queue and leaves the main one alone. The main queue gives an entry that was read another round. A hit sets one
 * counter: no list is relinked and no key is hashed, as an LRU or a TinyLFU sketch would.
 *
 * A fixed small queue of a tenth loses to LRU where the newest blocks are the ones in demand, because their second
 * reader comes too late. So the boundary moves as in ARC: a key that comes back after it left the small queue asks
 * for a larger one, a key that comes back after it left the main queue asks for a smaller one.
 *
 * S3-FIFO: Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023. ARC: Megiddo and Modha, FAST 2003.
 */

/** What the order needs to know of an entry. Entries carry it themselves, so that a hit allocates nothing. */
export class Resident {
  weight = 0
  /** Reads since the entry was last looked at, up to {@link maxHits}. */
  hits = 0
  /** When the entry is of no more use. It is then given up before any other rule is asked. */
  until = Infinity
  queue: Fifo | undefined = undefined
  newer: Resident | undefined = undefined
  older: Resident | undefined = undefined
  /** Of the key, never 0. */
  readonly hash: number

  constructor(hash: number) {
    this.hash = hash
  }
}

export interface Limits {
  readonly entries: number
  readonly weight: number
}

const maxHits = 3
const startShare = 0.1
const minShare = 0.05
const maxShare = 0.9

/** Counts a read. */
export const touch = (resident: Resident): void => {
  if (resident.hits < maxHits) resident.hits++
}

export class Eviction {
  private readonly small = new Fifo()
  private readonly main = new Fifo()
  private readonly leftSmall: Ghosts
  private readonly leftMain: Ghosts
  private share = startShare
  private readonly limits: Limits

  constructor(limits: Limits) {
    this.limits = limits
    this.leftSmall = new Ghosts(limits.entries)
    this.leftMain = new Ghosts(limits.entries)
  }

  get count(): number {
    return this.small.count + this.main.count
  }

  get weight(): number {
    return this.small.weight + this.main.weight
  }

  /** Takes an entry in. May leave more than the limits allow: {@link evict} until it gives nothing. */
  add(resident: Resident): void {
    const step = 1 / (this.count + 1)
    let known = true
    if (this.leftSmall.take(resident.hash)) this.share = Math.min(maxShare, this.share + step)
    else if (this.leftMain.take(resident.hash)) this.share = Math.max(minShare, this.share - step)
    else known = false
    ;(known ? this.main : this.small).push(resident)
  }

  remove(resident: Resident): void {
    resident.queue?.remove(resident)
  }

  /** Records that an entry's value was replaced. Its place in the order stays. */
  reweigh(resident: Resident, weight: number): void {
    if (resident.queue !== undefined) resident.queue.weight += weight - resident.weight
    resident.weight = weight
  }

  /** Takes out the entry to give up, or nothing if all fits. O(1), averaged over the reads that gave rounds. */
  evict(now: number): Resident | undefined {
    if (this.count <= this.limits.entries && this.weight <= this.limits.weight) return undefined
    for (;;) {
      const queue = this.main.count === 0 || this.smallIsOver() ? this.small : this.main
      const resident = queue.oldest!
      queue.remove(resident)
      if (resident.until <= now) return resident
      if (resident.hits === 0) {
        const ghosts = queue === this.small ? this.leftSmall : this.leftMain
        ghosts.add(resident.hash)
        return resident
      }
      resident.hits = queue === this.small ? 0 : resident.hits - 1
      this.main.push(resident)
    }
  }

  // The newest entry alone never puts the small queue over its share: it may stay until the next one comes.
  private smallIsOver(): boolean {
    const { count, weight } = this.small
    return count > 1 && (count > this.share * this.limits.entries || weight > this.share * this.limits.weight)
  }
}

/** A queue whose members are linked through themselves. */
class Fifo {
  count = 0
  weight = 0
  oldest: Resident | undefined = undefined
  private newest: Resident | undefined = undefined

  push(resident: Resident): void {
    resident.queue = this
    resident.older = this.newest
    if (this.newest === undefined) this.oldest = resident
    else this.newest.newer = resident
    this.newest = resident
    this.count++
    this.weight += resident.weight
  }

  remove(resident: Resident): void {
    if (resident.older === undefined) this.oldest = resident.newer
    else resident.older.newer = resident.newer
    if (resident.newer === undefined) this.newest = resident.older
    else resident.newer.older = resident.older
    resident.queue = resident.older = resident.newer = undefined
    this.count--
    this.weight -= resident.weight
  }
}

const maxSlots = 1 << 20

/**
 * The hashes of keys that have left, in a table of fixed size where a newer one takes an older one's place. What two
 * hashes share is forgotten a little early; nothing is ever served from here, so a collision costs a wrong guess.
 */
class Ghosts {
  private readonly slots: Int32Array

  constructor(entries: number) {
    let size = 16
    while (size < entries / 2 && size < maxSlots) size *= 2
    this.slots = new Int32Array(size)
  }

  add(hash: number): void {
    this.slots[hash & (this.slots.length - 1)] = hash
  }

  take(hash: number): boolean {
    const slot = hash & (this.slots.length - 1)
    if (this.slots[slot] !== hash) return false
    this.slots[slot] = 0
    return true
  }
}

/** FNV-1a over the code units, with its bits mixed once more because only the low ones choose a slot. */
export const hash = (key: string): number => {
  let h = 0x811c9dc5
  for (let i = 0; i < key.length; i++) h = Math.imul(h ^ key.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d)
  return h ^ (h >>> 13) || 1
}
