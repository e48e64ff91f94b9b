import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Eviction, hash, type Limits, Resident, touch } from "../src/internal/eviction.ts"
import { belady, heads, hitRate, lru, scanned, skewed } from "./support/traces.ts"

/** A cache that is nothing but its order. */
const cache = (limits: Limits, order = new Eviction(limits)) => {
  const entries = new Map<string, Resident & { key: string }>()
  return {
    order,
    entries,
    has: (key: string): boolean => {
      const entry = entries.get(key)
      if (entry !== undefined) touch(entry)
      return entry !== undefined
    },
    put: (key: string, weight = 0, now = 0): void => {
      let entry = entries.get(key)
      if (entry === undefined) {
        entry = Object.assign(new Resident(hash(key)), { key })
        order.reweigh(entry, weight)
        entries.set(key, entry)
        order.add(entry)
      } else order.reweigh(entry, weight)
      for (let out = order.evict(now); out !== undefined; out = order.evict(now)) {
        entries.delete((out as typeof entry).key)
      }
    },
    remove: (key: string): void => {
      const entry = entries.get(key)
      if (entry !== undefined) order.remove(entry)
      entries.delete(key)
    }
  }
}

const asked = (capacity: number) => {
  const { has, put } = cache({ entries: capacity, weight: Infinity })
  return (key: string) => has(key) || (put(key), false)
}

/** The same rules on plain lists of keys, oldest first. */
class Model {
  small: Array<string> = []
  main: Array<string> = []
  hits = new Map<string, number>()
  weights = new Map<string, number>()
  share = 0.1
  leftSmall = new Map<number, string>()
  leftMain = new Map<number, string>()
  readonly limits: Limits

  constructor(limits: Limits) {
    this.limits = limits
  }

  get keys(): Array<string> {
    return [...this.small, ...this.main]
  }

  weight(keys: Array<string>): number {
    return keys.reduce((sum, key) => sum + this.weights.get(key)!, 0)
  }

  has(key: string): boolean {
    if (!this.weights.has(key)) return false
    this.hits.set(key, Math.min(3, this.hits.get(key)! + 1))
    return true
  }

  put(key: string, weight: number): void {
    const known = this.weights.has(key)
    this.weights.set(key, weight)
    if (!known) {
      this.hits.set(key, 0)
      // A table of 16 slots, of which a newer ghost takes an older one's.
      const slot = hash(key) & 15
      const step = 1 / (this.small.length + this.main.length + 1)
      if (this.leftSmall.get(slot) === key) {
        this.leftSmall.delete(slot)
        this.share = Math.min(0.9, this.share + step)
        this.main.push(key)
      } else if (this.leftMain.get(slot) === key) {
        this.leftMain.delete(slot)
        this.share = Math.max(0.05, this.share - step)
        this.main.push(key)
      } else this.small.push(key)
    }
    while (this.keys.length > this.limits.entries || this.weight(this.keys) > this.limits.weight) this.look()
  }

  remove(key: string): void {
    this.small = this.small.filter((other) => other !== key)
    this.main = this.main.filter((other) => other !== key)
    this.weights.delete(key)
  }

  private look(): void {
    const over =
      this.small.length > 1 &&
      (this.small.length > this.share * this.limits.entries ||
        this.weight(this.small) > this.share * this.limits.weight)
    const fromSmall = over || this.main.length === 0
    const key = (fromSmall ? this.small : this.main).shift()!
    const hits = this.hits.get(key)!
    if (hits === 0) {
      this.weights.delete(key)
      const ghosts = fromSmall ? this.leftSmall : this.leftMain
      ghosts.set(hash(key) & 15, key)
    } else {
      this.hits.set(key, fromSmall ? 0 : hits - 1)
      this.main.push(key)
    }
  }
}

const commands = fc.array(
  fc.record({
    what: fc.constantFrom("ask", "ask", "ask", "put", "remove"),
    key: fc.integer({ min: 0, max: 30 }).map((n) => `key ${n}`),
    weight: fc.integer({ min: 0, max: 40 })
  }),
  { maxLength: 200, size: "max" }
)

/** Runs the commands on both and says where they part. */
const differs = (limits: Limits, make: (limits: Limits) => Eviction) =>
  fc.check(
    fc.property(commands, (list) => {
      const real = cache(limits, make(limits))
      const model = new Model(limits)
      for (const { key, weight, what } of list) {
        if (what === "remove") {
          real.remove(key)
          model.remove(key)
        } else if (what === "put" || !real.has(key)) {
          if (what === "ask") assert.isFalse(model.has(key))
          real.put(key, weight)
          model.put(key, weight)
        } else model.has(key)
        assert.strictEqual([...real.entries.keys()].toSorted().join(), model.keys.toSorted().join())
        assert.strictEqual(real.order.count, model.keys.length)
        assert.strictEqual(real.order.weight, model.weight(model.keys))
        assert.isAtMost(real.order.count, limits.entries)
        assert.isAtMost(real.order.weight, limits.weight)
      }
    }),
    { seed: 11, numRuns: 40 }
  )

describe("the order", () => {
  const all: ReadonlyArray<Limits> = [
    { entries: 1, weight: Infinity },
    { entries: 8, weight: Infinity },
    { entries: 20, weight: 100 },
    { entries: 12, weight: 60 }
  ]

  it("CA10, CA11: equals the model, within its limits after each step", () => {
    for (const limits of all) {
      const { counterexample, errorInstance, failed } = differs(limits, (it) => new Eviction(it))
      assert.isFalse(failed, `${JSON.stringify(counterexample)} ${String(errorInstance)}`)
    }
  })

  it("mutants: an order that forgets its reads, its ghosts or its weights is found out", () => {
    class NoReads extends Eviction {
      override add(resident: Resident): void {
        super.add(resident)
        Object.defineProperty(resident, "hits", { get: () => 0, set: () => {} })
      }
    }
    class NoGhosts extends Eviction {
      override add(resident: Resident): void {
        super.add(Object.assign(resident, { hash: resident.hash ^ Math.imul(++this.salt, 0x9e3779b1) }))
      }
      private salt = 0
    }
    class NoWeights extends Eviction {
      override reweigh(resident: Resident, weight: number): void {
        if (resident.queue === undefined) super.reweigh(resident, weight)
      }
    }
    for (const Mutant of [NoReads, NoGhosts, NoWeights]) {
      assert.isTrue(
        all.some((limits) => differs(limits, (it) => new Mutant(it)).failed),
        Mutant.name
      )
    }
  })

  it("remembers no more than three reads, so that giving up an entry takes few rounds", () => {
    const resident = new Resident(1)
    for (let i = 0; i < 10; i++) touch(resident)
    assert.strictEqual(resident.hits, 3)
  })

  it("gives up what has expired, however often it was read", () => {
    const { entries, has, put } = cache({ entries: 3, weight: Infinity })
    for (const key of ["a", "b", "c"]) put(key)
    for (const key of ["a", "b", "c", "b", "b"]) has(key)
    entries.get("b")!.until = 10
    put("d", 0, 10)
    assert.sameMembers([...entries.keys()], ["a", "c", "d"])
  })
})

describe("CA11: hit rates", () => {
  const rates = (capacity: number, keys: ReadonlyArray<string>) => ({
    ours: hitRate(asked(capacity), keys),
    lru: hitRate(lru(capacity), keys),
    best: belady(capacity, keys)
  })

  for (const seed of [1, 2]) {
    it(`not 1 % below those of LRU where few keys are hot (seed ${seed})`, () => {
      for (const skew of [0.7, 0.9, 1.1]) {
        const { best, lru, ours } = rates(200, skewed(seed, skew))
        assert.isAtLeast(ours, lru - 0.01)
        assert.isAtMost(ours, best)
      }
    })

    it(`above those of LRU during a scan (seed ${seed})`, () => {
      const { best, lru, ours } = rates(200, scanned(seed))
      assert.isAbove(ours, lru * 1.3)
      assert.isAtMost(ours, best)
    })

    it(`not 1 % below those of LRU near the head of a chain, where a fixed tenth fails (seed ${seed})`, () => {
      const keys = heads(seed)
      const { best, lru, ours } = rates(600, keys)
      assert.isAtLeast(ours, lru - 0.01)
      assert.isAtMost(ours, best)
      const fixed = cache({ entries: 600, weight: Infinity })
      const rate = hitRate((key) => {
        Object.assign(fixed.order, { share: 0.1 })
        return fixed.has(key) || (fixed.put(key), false)
      }, keys)
      assert.isBelow(rate, lru - 0.05)
    })
  }
})

describe("hash", () => {
  it("is never 0 and spreads over its low bits", () => {
    const slots = new Set<number>()
    for (let i = 0; i < 1_000; i++) {
      assert.notStrictEqual(hash(`eth_getBlockByNumber${i}`), 0)
      slots.add(hash(`eth_getBlockByNumber${i}`) & 1023)
    }
    // A thousand balls into as many bins leave about 37 % of them empty.
    assert.isAbove(slots.size, 580)
  })
})
