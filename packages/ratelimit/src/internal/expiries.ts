// Who stops waiting first: a binary heap. Whoever has left the line stays in it until he comes up, or until half of
// the heap has left; so leaving costs one step on average.

interface Expiring {
  readonly expiresAt: number
  readonly queued: boolean
}

export class Expiries<W extends Expiring> {
  private heap: Array<W> = []
  private gone = 0

  add(waiter: W): void {
    if (waiter.expiresAt === Infinity) return
    this.heap.push(waiter)
    this.up(this.heap.length - 1)
  }

  /** Told once for each waiter that has left the line. */
  forget(): void {
    if (++this.gone < 32 || this.gone * 2 < this.heap.length) return
    this.heap = this.heap.filter((waiter) => waiter.queued).toSorted((a, b) => a.expiresAt - b.expiresAt)
    this.gone = 0
  }

  first(): W | undefined {
    while (this.heap.length > 0 && !this.heap[0]!.queued) this.pop()
    return this.heap[0]
  }

  private pop(): void {
    const last = this.heap.pop()!
    if (this.heap.length === 0) return
    this.heap[0] = last
    this.down(0)
  }

  private up(i: number): void {
    const { heap } = this
    const waiter = heap[i]!
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (heap[parent]!.expiresAt <= waiter.expiresAt) break
      heap[i] = heap[parent]!
      i = parent
    }
    heap[i] = waiter
  }

  private down(i: number): void {
    const { heap } = this
    const waiter = heap[i]!
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1]!.expiresAt < heap[child]!.expiresAt) child++
      if (waiter.expiresAt <= heap[child]!.expiresAt) break
      heap[i] = heap[child]!
      i = child
    }
    heap[i] = waiter
  }
}
