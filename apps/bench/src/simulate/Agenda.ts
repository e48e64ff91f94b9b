/** What is due when: a binary heap. Of what is due at the same time, the first that was added is the first. */

export interface Due {
  readonly at: number
  readonly order: number
  readonly f: () => void
  off: boolean
}

export class Agenda {
  private readonly heap: Array<Due> = []
  private added = 0
  /** How many are due some time. */
  size = 0

  get first(): Due | undefined {
    while (this.heap[0]?.off === true) this.pop()
    return this.heap[0]
  }

  add(at: number, f: () => void): Due {
    const due: Due = { at, order: this.added++, f, off: false }
    const { heap } = this
    let place = heap.length
    for (; place > 0 && before(due, heap[(place - 1) >> 1]!); place = (place - 1) >> 1) {
      heap[place] = heap[(place - 1) >> 1]!
    }
    heap[place] = due
    this.size++
    return due
  }

  /** Marks it; it leaves the heap when it comes first. */
  remove(due: Due): void {
    if (due.off) return
    due.off = true
    this.size--
  }

  private pop(): void {
    const { heap } = this
    const last = heap.pop()!
    if (heap.length === 0) return
    let place = 0
    for (;;) {
      let down = 2 * place + 1
      if (down >= heap.length) break
      if (down + 1 < heap.length && before(heap[down + 1]!, heap[down]!)) down++
      if (!before(heap[down]!, last)) break
      heap[place] = heap[down]!
      place = down
    }
    heap[place] = last
  }
}

const before = (a: Due, b: Due): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)
