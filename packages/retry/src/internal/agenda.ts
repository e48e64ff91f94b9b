// What is due when: a binary heap in which every entry knows its place, so that one that is called off leaves in
// O(log n) and takes no memory until its time. With one constant delay entries come in order and adding is O(1).

export interface Entry {
  readonly at: number
  /** Its index in the heap; -1 when it is in none. */
  place: number
  /** Among entries due at the same time the first added is the first out. */
  order: number
}

export class Agenda<E extends Entry> {
  private readonly heap: Array<E> = []
  private added = 0

  get size(): number {
    return this.heap.length
  }

  /** What is due first. */
  get first(): E | undefined {
    return this.heap[0]
  }

  add(entry: E): void {
    entry.order = this.added++
    this.rise(entry, this.heap.length)
  }

  /** Takes an entry out; one that is not in it is left alone. */
  remove(entry: E): void {
    const { place } = entry
    if (place < 0) return
    entry.place = -1
    const last = this.heap.pop()!
    if (last === entry) return
    if (place > 0 && before(last, this.heap[(place - 1) >> 1]!)) this.rise(last, place)
    else this.sink(last, place)
  }

  private rise(entry: E, from: number): void {
    const { heap } = this
    let place = from
    while (place > 0) {
      const up = (place - 1) >> 1
      const parent = heap[up]!
      if (!before(entry, parent)) break
      heap[place] = parent
      parent.place = place
      place = up
    }
    heap[place] = entry
    entry.place = place
  }

  private sink(entry: E, from: number): void {
    const { heap } = this
    let place = from
    for (;;) {
      let down = 2 * place + 1
      if (down >= heap.length) break
      if (down + 1 < heap.length && before(heap[down + 1]!, heap[down]!)) down++
      const child = heap[down]!
      if (!before(child, entry)) break
      heap[place] = child
      child.place = place
      place = down
    }
    heap[place] = entry
    entry.place = place
  }
}

const before = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)
