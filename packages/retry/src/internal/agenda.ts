// What is due when: a binary heap in which every entry knows its place, so that one that is called off leaves in
// O(log n) and takes no memory until its time. With one constant delay entries come in order and adding is O(1).
//
// Entries are of many shapes, and looking into each would be most of what the heap costs: it compares what it keeps itself.

export interface Entry {
  readonly at: number
  /** Its index in the heap; -1 when it is in none. */
  place: number
}

export class Agenda<E extends Entry> {
  private readonly heap: Array<E> = []
  /** When each entry of the heap is due. */
  private readonly times: Array<number> = []
  /** How many were added before it: among entries due at the same time the first added is the first out. */
  private readonly turns: Array<number> = []
  private added = 0

  get size(): number {
    return this.heap.length
  }

  /** What is due first. */
  get first(): E | undefined {
    return this.heap[0]
  }

  add(entry: E): void {
    this.rise(entry, entry.at, this.added++, this.heap.length)
  }

  /** Takes an entry out; one that is not in it is left alone. */
  remove(entry: E): void {
    const { place } = entry
    if (place < 0) return
    entry.place = -1
    const last = this.heap.pop()!
    const at = this.times.pop()!
    const turn = this.turns.pop()!
    if (last === entry) return
    if (place > 0 && this.isBefore(at, turn, (place - 1) >> 1)) this.rise(last, at, turn, place)
    else this.sink(last, at, turn, place)
  }

  private rise(entry: E, at: number, turn: number, from: number): void {
    let place = from
    while (place > 0) {
      const up = (place - 1) >> 1
      if (!this.isBefore(at, turn, up)) break
      this.put(this.heap[up]!, this.times[up]!, this.turns[up]!, place)
      place = up
    }
    this.put(entry, at, turn, place)
  }

  private sink(entry: E, at: number, turn: number, from: number): void {
    const { heap, times, turns } = this
    let place = from
    for (;;) {
      let down = 2 * place + 1
      if (down >= heap.length) break
      if (down + 1 < heap.length && this.isBefore(times[down + 1]!, turns[down + 1]!, down)) down++
      if (this.isBefore(at, turn, down)) break
      this.put(heap[down]!, times[down]!, turns[down]!, place)
      place = down
    }
    this.put(entry, at, turn, place)
  }

  /** Whether what is due then comes before what stands there. */
  private isBefore(at: number, turn: number, place: number): boolean {
    const other = this.times[place]!
    return at < other || (at === other && turn < this.turns[place]!)
  }

  private put(entry: E, at: number, turn: number, place: number): void {
    this.heap[place] = entry
    this.times[place] = at
    this.turns[place] = turn
    entry.place = place
  }
}
