import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Queue, Waiter } from "../src/internal/queue.ts"
import { Crowd, isRefuted, type Person } from "./models.ts"

class Numbered extends Waiter {
  readonly id: number
  constructor({ expiresAt, id, priority, weight }: Person) {
    super(weight, priority, expiresAt)
    this.id = id
  }
}

type Command =
  | { readonly do: "push"; readonly priority: number; readonly weight: number; readonly expiresAt: number }
  | { readonly do: "serve" | "displace" | "expire" }
  | { readonly do: "remove"; readonly which: number }

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("push" as const),
      priority: fc.oneof(fc.integer({ min: -10, max: 10 }), fc.integer({ min: 0, max: 1 })),
      weight: fc.nat(5),
      expiresAt: fc.oneof(fc.nat(1000), fc.constant(Infinity))
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom("serve" as const, "displace" as const, "expire" as const) })
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("remove" as const), which: fc.nat(1000) }) }
)

/** Runs the commands on a queue and on a list, and compares what both say after each. */
const agree = (queue: Queue<Numbered>, commands: ReadonlyArray<Command>): boolean => {
  const crowd = new Crowd()
  const waiters = new Map<number, Numbered>()
  const remove = (person: Person | undefined) => {
    if (person === undefined) return
    crowd.remove(person)
    queue.remove(waiters.get(person.id)!)
  }
  for (const [id, command] of commands.entries()) {
    if (command.do === "push") {
      const { expiresAt, priority, weight } = command
      const person = { id, priority, weight, expiresAt }
      crowd.people.push(person)
      waiters.set(id, new Numbered(person))
      queue.push(waiters.get(id)!)
    } else if (command.do === "serve") {
      const head = queue.head()
      if (head !== undefined) queue.serve(head)
      if (head?.id !== crowd.serve()?.id) return false
    } else if (command.do === "remove") {
      remove(crowd.people[command.which % Math.max(1, crowd.people.length)])
    } else if (command.do === "displace") {
      const displaced = queue.displaced(0)
      if (displaced?.id !== crowd.displaced(0)?.id) return false
      remove(crowd.displaced(0))
    } else {
      const next = queue.nextToExpire()
      if ((next?.expiresAt ?? Infinity) !== crowd.firstToExpire()) return false
      remove(crowd.people.find((person) => person.id === next?.id))
    }
    const same =
      queue.size === crowd.people.length &&
      queue.head()?.id === crowd.head()?.id &&
      [-10, -1, 0, 1, 10].every((priority) => queue.ahead(priority) === crowd.ahead(priority))
    if (!same) return false
  }
  return true
}

const commands = fc.array(command, { maxLength: 120, size: "max" })

describe("the line", () => {
  it("BH4, RL8: says what a list says", () => {
    fc.assert(fc.property(commands, (commands) => agree(new Queue(), commands)))
  })

  it("mutants: a line that forgets an order, a bound or a weight differs from the list", () => {
    class LastFirst extends Queue<Numbered> {
      override push(waiter: Numbered): void {
        const head = this.head()
        super.push(waiter)
        if (head !== undefined && head.priority === waiter.priority) {
          super.remove(head)
          super.push(head)
        }
      }
    }
    class Starving extends Queue<Numbered> {
      override serve(head: Numbered): void {
        super.remove(head)
      }
    }
    class Leaking extends Queue<Numbered> {
      override remove(waiter: Numbered): void {
        if (waiter.weight !== 3) super.remove(waiter)
      }
    }
    class Unfair extends Queue<Numbered> {
      override displaced(priority: number): Numbered | undefined {
        return super.displaced(priority + 1)
      }
    }
    for (const Mutant of [LastFirst, Starving, Leaking, Unfair]) {
      const property = fc.property(commands, (commands) => agree(new Mutant(), commands))
      assert.isTrue(isRefuted(property), Mutant.name)
    }
  })

  it("one turn in ten goes by age", () => {
    const queue = new Queue<Numbered>()
    const push = (id: number, priority: number) =>
      queue.push(new Numbered({ id, priority, weight: 1, expiresAt: Infinity }))
    push(0, -1)
    push(1, -1)
    for (let id = 2; id < 40; id++) push(id, 5)
    const order: Array<number> = []
    for (let head = queue.head(); head !== undefined; head = queue.head()) {
      queue.serve(head)
      order.push(head.id)
    }
    assert.strictEqual(order.indexOf(0), 9)
    assert.strictEqual(order.indexOf(1), 19)
  })

  it("RL14: holds nobody who has left", () => {
    const queue = new Queue<Numbered>()
    const stay = new Numbered({ id: -1, priority: 0, weight: 1, expiresAt: 1e9 })
    queue.push(stay)
    for (let id = 0; id < 10_000; id++) {
      const waiter = new Numbered({ id, priority: id % 3, weight: 1, expiresAt: id })
      queue.push(waiter)
      queue.remove(waiter)
      queue.remove(waiter)
    }
    assert.strictEqual(queue.size, 1)
    const heap: Array<unknown> = (queue as any).expiries.heap
    assert.isBelow(heap.length, 100)
    assert.strictEqual(queue.nextToExpire(), stay)
    assert.strictEqual(queue.head(), stay)
  })
})
