import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Bucket } from "../src/internal/bucket.ts"

const window = 1000

type Step = { readonly after: number; readonly op: "deposit" | "withdraw" | "charge" | "refund" }
interface Trace {
  readonly ratio: number
  readonly floor: number
  readonly steps: ReadonlyArray<Step>
}

const step = (...ops: ReadonlyArray<Step["op"]>) =>
  fc.record({
    // Bursts, waits within a slice, and waits that end exactly at the edges of slices and windows.
    after: fc.oneof(fc.constant(0), fc.nat(60), fc.constantFrom(99, 100, 101, 900, 999, 1000, 1001), fc.nat(2500)),
    op: fc.constantFrom(...ops)
  })

const trace = (...ops: ReadonlyArray<Step["op"]>): fc.Arbitrary<Trace> =>
  fc.record({
    ratio: fc.constantFrom(0, 0.1, 0.2, 0.5, 1, 1.5),
    floor: fc.nat(4),
    steps: fc.array(step(...ops), { maxLength: 120, size: "max" })
  })

/** The model: everything that happened, with its time. */
class Model {
  deposits: Array<number> = []
  spent: Array<number> = []
  readonly grants: Array<number> = []
  readonly decisions: Array<boolean> = []
  readonly bucket: Bucket
  now = 12_345

  /** Runs all steps on the bucket, and checks after each. */
  constructor(
    bucket: Bucket,
    steps: ReadonlyArray<Step>,
    check: (model: Model, step: Step, granted: boolean) => void = () => {}
  ) {
    this.bucket = bucket
    for (const step of steps) check(this, step, this.do(step))
  }

  private do(step: Step): boolean {
    this.now += step.after
    const { bucket, now } = this
    let granted = false
    if (step.op === "deposit") {
      bucket.deposit(now)
      this.deposits.push(now)
    } else if (step.op === "withdraw") {
      granted = bucket.withdraw(now)
      this.decisions.push(granted)
      if (granted) {
        this.grants.push(now)
        this.spent.push(now)
      }
    } else if (step.op === "charge") {
      bucket.charge(now)
      this.spent.push(now)
    } else {
      const last = this.spent.pop()
      if (last !== undefined) bucket.refund(last)
    }
    return granted
  }

  within(times: ReadonlyArray<number>): number {
    return times.filter((at) => at > this.now - window && at <= this.now).length
  }

  /** The balance by the rule in words: deposits leave by slice, the withdrawals of a slice with their youngest. */
  balance(ratio: number, floor: number): number {
    const slice = (at: number) => Math.floor(at / (window / 10))
    const deposits = this.deposits.filter((at) => slice(at) > slice(this.now) - 10).length
    const youngest = (at: number) => Math.max(...this.spent.filter((other) => slice(other) === slice(at)))
    const spent = this.spent.filter((at) => youngest(at) > this.now - window).length
    return floor * 1000 + deposits * Math.round(ratio * 1000) - spent * 1000
  }
}

const make = ({ floor, ratio }: Trace) => new Bucket(ratio, floor, window)

/** RB1, for any bucket. */
const bounded = (make: (trace: Trace) => Bucket) =>
  fc.property(trace("deposit", "withdraw", "withdraw", "charge", "refund"), (trace) => {
    void new Model(make(trace), trace.steps, (model, _, granted) => {
      if (!granted) return
      const deposits = model.within(model.deposits)
      assert.isAtMost(model.within(model.spent) * 1000, deposits * Math.round(trace.ratio * 1000) + trace.floor * 1000)
    })
  })

describe("Bucket", () => {
  it("RB1: at each grant, what was spent within the window is at most the ratio of its deposits and the floor", () => {
    fc.assert(bounded(make), { numRuns: 100 })
  })

  it("RB1: mutants in which deposits never expire, or in which retries deposit, are found out", () => {
    class Hoarding extends Bucket {
      private total = 0
      override deposit(now: number): void {
        this.total++
        super.deposit(now)
      }
      override balance(now: number): number {
        return super.balance(now) + (this.total - this.totals(now).deposits) * 500
      }
    }
    class Depositing extends Bucket {
      override withdraw(now: number): boolean {
        const granted = super.withdraw(now)
        if (granted) this.deposit(now)
        return granted
      }
    }
    for (const mutant of [Hoarding, Depositing]) {
      const result = fc.check(
        bounded(({ floor }) => new mutant(0.5, floor, window)),
        { numRuns: 3_000, seed: 7, endOnFailure: true }
      )
      assert.isTrue(result.failed, mutant.name)
    }
  })

  it("RB2: a denied withdrawal changes nothing", () => {
    fc.assert(
      fc.property(trace("deposit", "withdraw", "charge"), (trace) => {
        const denied = new Set<Step>()
        const full = new Model(make(trace), trace.steps, (_, step, granted) => {
          if (step.op === "withdraw" && !granted) denied.add(step)
        })
        // The same trace, in which those who were denied had not asked.
        let skipped = 0
        const steps = trace.steps.flatMap((step) => {
          if (denied.has(step)) {
            skipped += step.after
            return []
          }
          const shifted = { ...step, after: step.after + skipped }
          skipped = 0
          return [shifted]
        })
        const other = new Model(make(trace), steps)
        assert.deepStrictEqual(other.grants, full.grants)
        assert.strictEqual(other.bucket.balance(full.now), full.bucket.balance(full.now))
      }),
      { numRuns: 100 }
    )
  })

  it("RB3: without deposits only the floor is granted, and nothing without a floor", () => {
    fc.assert(
      fc.property(trace("withdraw"), ({ floor, steps }) => {
        void new Model(new Bucket(0.5, 0, window), steps, (_, __, granted) => assert.isFalse(granted))
        void new Model(new Bucket(0, floor, window), steps, (model, _, granted) => {
          if (granted) assert.isAtMost(model.within(model.grants), floor)
        })
      }),
      { numRuns: 100 }
    )
  })

  it("RB5: one deposit more, anywhere, turns a denial into a grant before it turns anything else", () => {
    fc.assert(
      fc.property(trace("deposit", "withdraw", "charge"), fc.nat(120), (trace, at) => {
        const more = trace.steps.toSpliced(at, 0, { after: 0, op: "deposit" })
        const [without, withIt] = [trace.steps, more].map((steps) => new Model(make(trace), steps).decisions)
        const differs = without!.findIndex((granted, i) => granted !== withIt![i])
        if (differs >= 0) assert.isFalse(without![differs])
      }),
      { numRuns: 150 }
    )
  })

  it("RB6: a window without traffic leaves exactly the floor: nothing is saved up and no debt remains", () => {
    fc.assert(
      fc.property(trace("deposit", "withdraw", "charge", "refund"), fc.nat(2000), (trace, more) => {
        const { bucket, now } = new Model(make(trace), trace.steps)
        assert.strictEqual(bucket.balance(now + window + more), trace.floor * 1000)
      }),
      { numRuns: 150 }
    )
  })

  it("RB7: over any run, grants are at most the ratio of deposits and a floor for each window begun", () => {
    fc.assert(
      fc.property(trace("deposit", "withdraw", "withdraw"), (trace) => {
        const model = new Model(make(trace), trace.steps)
        const first = model.grants[0]
        if (first === undefined) return
        // The run begins with the first grant; deposits up to a window before it may have paid for it.
        const deposits = model.deposits.filter((at) => at > first - window).length
        const windows = Math.floor((model.grants.at(-1)! - first) / window) + 1
        assert.isAtMost(
          model.grants.length * 1000,
          deposits * Math.round(trace.ratio * 1000) + trace.floor * 1000 * windows
        )
      }),
      { numRuns: 100 }
    )
  })

  it("RB9: the balance is the model's after every step", () => {
    fc.assert(
      fc.property(trace("deposit", "withdraw", "charge"), (trace) => {
        void new Model(make(trace), trace.steps, (model) => {
          assert.strictEqual(model.bucket.balance(model.now), model.balance(trace.ratio, trace.floor))
        })
      }),
      { numRuns: 100 }
    )
  })

  it("RB9: ten million operations leave no trace of rounding", () => {
    const bucket = new Bucket(0.1, 3, window)
    let now = 0
    for (let i = 0; i < 5_000_000; i++) {
      now = i / 10
      bucket.deposit(now)
      bucket.charge(now)
    }
    // Ten a millisecond; the present slice has begun 99.9 ms ago and the window holds just ten slices.
    assert.deepStrictEqual(bucket.totals(now), { deposits: 10_000, spent: 10_000 })
    assert.strictEqual(bucket.balance(now), 3_000 + 10_000 * 100 - 10_000 * 1000)
  })

  it("takes a clock that steps back for one that stands still", () => {
    const bucket = new Bucket(0, 2, window)
    assert.isTrue(bucket.withdraw(5000))
    assert.isTrue(bucket.withdraw(100))
    assert.isFalse(bucket.withdraw(200))
    assert.isFalse(bucket.withdraw(5999))
    assert.isTrue(bucket.withdraw(6000))
  })

  it("a refund after the window has forgotten gives nothing", () => {
    const bucket = new Bucket(0, 1, window)
    // Two slices that use the same place, one after the other.
    assert.isTrue(bucket.withdraw(800))
    assert.isTrue(bucket.withdraw(3000))
    bucket.refund(800)
    assert.isFalse(bucket.withdraw(3000))
    bucket.refund(3000)
    assert.isTrue(bucket.withdraw(3000))
  })
})

describe("refunds", () => {
  it("what was spent when the ring had just gone round is not given back for what stood in its place before", () => {
    const bucket = new Bucket(0, 1, window)
    assert.isTrue(bucket.withdraw(800))
    // Eleven slices on: the place of 800, for the first time since.
    assert.isTrue(bucket.withdraw(1_900))
    bucket.refund(800)
    assert.isFalse(bucket.withdraw(1_900))
  })

  it("give back no more than was taken", () => {
    const bucket = new Bucket(0, 1, window)
    assert.isTrue(bucket.withdraw(0))
    bucket.refund(0)
    bucket.refund(0)
    assert.strictEqual(bucket.balance(0), 1_000)
  })
})
