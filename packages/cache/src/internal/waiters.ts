/** Who waits for a load, in the order they came, and the latest of their deadlines. */

export interface Waiter {
  /** When it stops waiting. */
  readonly deadline: number
  /** Its place in the heap; kept by {@link Waiters}. */
  slot: number
}

/** Adding and deleting take O(log n), so that ten thousand callers who leave one by one stay cheap. */
export class Waiters<W extends Waiter> {
  private readonly members = new Set<W>()
  // A heap with the latest deadline on top; each member knows its slot.
  private readonly heap: Array<W> = []

  get size(): number {
    return this.heap.length
  }

  /** The latest deadline among those present; -Infinity when nobody is. */
  get latest(): number {
    return this.heap.length === 0 ? -Infinity : this.heap[0]!.deadline
  }

  [Symbol.iterator](): Iterator<W> {
    return this.members.values()
  }

  add(waiter: W): void {
    this.members.add(waiter)
    this.heap.push(waiter)
    this.rise(waiter, this.heap.length - 1)
  }

  /** False if it is not here any more. */
  delete(waiter: W): boolean {
    if (!this.members.delete(waiter)) return false
    const last = this.heap.pop()!
    if (last !== waiter) {
      this.rise(last, waiter.slot)
      this.sink(last, last.slot)
    }
    return true
  }

  /** Takes everyone out. */
  drain(): ReadonlyArray<W> {
    const all = [...this.members]
    this.members.clear()
    this.heap.length = 0
    return all
  }

  private rise(waiter: W, slot: number): void {
    while (slot > 0) {
      const parent = (slot - 1) >> 1
      if (this.heap[parent]!.deadline >= waiter.deadline) break
      this.place(this.heap[parent]!, slot)
      slot = parent
    }
    this.place(waiter, slot)
  }

  private sink(waiter: W, slot: number): void {
    for (;;) {
      let child = 2 * slot + 1
      if (child >= this.heap.length) break
      if (child + 1 < this.heap.length && this.heap[child + 1]!.deadline > this.heap[child]!.deadline) child++
      if (this.heap[child]!.deadline <= waiter.deadline) break
      this.place(this.heap[child]!, slot)
      slot = child
    }
    this.place(waiter, slot)
  }

  private place(waiter: W, slot: number): void {
    this.heap[slot] = waiter
    waiter.slot = slot
  }
}
