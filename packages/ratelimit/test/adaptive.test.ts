import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Aimd, type AdaptiveOptions, type Ended, Gradient, type Sample } from "../src/internal/adaptive.ts"
import { Permits } from "../src/internal/permits.ts"
import { isRefuted, Server } from "./models.ts"

const options: AdaptiveOptions = { initial: 20, min: 2, max: 100, decrease: 0.9, window: 1000 }

const kinds = [Aimd, Gradient]

interface Reported extends Ended {
  readonly sample: Sample
  readonly after: number
  readonly started: number
}

const odd = fc.constantFrom(0, -1, NaN, Infinity, -Infinity, Number.MAX_VALUE, Number.MIN_VALUE)

const reported = (elapsed: fc.Arbitrary<number>): fc.Arbitrary<Reported> =>
  fc.record({
    sample: fc.constantFrom<Array<Sample>>("success", "success", "success", "dropped", "ignored"),
    after: fc.oneof(fc.nat(50), fc.nat(1500)),
    number: fc.nat(60),
    started: fc.nat(60),
    elapsed,
    inflight: fc.nat(120),
    kind: fc.constantFrom("a", "b")
  })

/** Reports all samples; `each` sees the limit before and after each one. */
const report = (
  adaptive: Aimd,
  samples: ReadonlyArray<Reported>,
  each: (before: number, after: number, reported: Reported, now: number) => void
) => {
  let now = 0
  for (const sample of samples) {
    now += sample.after
    const before = adaptive.limit
    adaptive.sample(sample.sample, sample, sample.started, now)
    each(before, adaptive.limit, sample, now)
  }
}

const many = (elapsed: fc.Arbitrary<number> = fc.nat(500)) =>
  fc.array(reported(elapsed), { maxLength: 150, size: "max" })

describe("an adaptive limit", () => {
  it("BH8: stays finite and within its bounds, whatever it is told", () => {
    for (const Kind of kinds) {
      fc.assert(
        fc.property(many(fc.oneof(fc.nat(500), odd)), fc.oneof(fc.constant(0), odd), (samples, jump) => {
          const adaptive = new Kind(options)
          report(adaptive, samples, (_, after, reported, now) => {
            adaptive.sample("success", { ...reported, inflight: jump, elapsed: jump }, reported.started, now + jump)
            assert.isTrue(adaptive.limit >= 2 && adaptive.limit <= 100 && after >= 2 && after <= 100)
          })
        })
      )
    }
  })

  const BH9 = (make: () => Aimd) =>
    fc.property(many(), (samples) => {
      const adaptive = make()
      const idle = samples.map((sample) => ({ ...sample, inflight: 0.99 }))
      report(adaptive, idle, (before, after) => assert.isAtMost(after, before))
    })

  it("BH9: does not rise while less than half of it is in use", () => {
    for (const Kind of kinds) fc.assert(BH9(() => new Kind(options)))
    const adaptive = new Aimd(options)
    adaptive.sample("success", { number: 1, elapsed: 1, inflight: 9, kind: "" }, 1, 0)
    assert.strictEqual(adaptive.limit, 20)
    adaptive.sample("success", { number: 2, elapsed: 1, inflight: 10, kind: "" }, 2, 0)
    assert.strictEqual(adaptive.limit, 20.05)
  })

  const BH10 = (make: () => Aimd) =>
    fc.property(many(), (samples) => {
      let decreasedAt = -Infinity
      let decreasedAfter = 0
      const adaptive = make()
      report(adaptive, samples, (before, after, { number, sample, started }, now) => {
        if (sample === "ignored") assert.strictEqual(after, before)
        if (sample !== "dropped") return
        assert.isAtMost(after, before)
        if (after === before) return
        assert.isAtLeast(now - decreasedAt, 1000)
        assert.isAbove(number, decreasedAfter)
        assert.strictEqual(after, Math.max(2, before * 0.9))
        decreasedAt = now
        decreasedAfter = started
      })
    })

  it("BH10: falls at most once in a window; what is ignored changes nothing", () => {
    for (const Kind of kinds) fc.assert(BH10(() => new Kind(options)))
  })

  it("mutants: rising while idle breaks BH9, counting each drop breaks BH10", () => {
    class Idle extends Aimd {
      protected override succeeded(ended: Ended, now: number): void {
        super.succeeded({ ...ended, inflight: Infinity }, now)
      }
    }
    class EachDrop extends Aimd {
      override sample(sample: Sample, ended: Ended, started: number, now: number): void {
        if (sample === "dropped") this.dropped()
        else super.sample(sample, ended, started, now)
      }
    }
    assert.isTrue(isRefuted(BH9(() => new Idle(options))))
    assert.isTrue(isRefuted(BH10(() => new EachDrop(options))))
  })

  it("BH11: finds the capacity of a server, and finds it again when half of that is gone", () => {
    for (const Kind of kinds) {
      for (const capacity of [6, 10, 20, 40]) {
        const adaptive = new Kind({ ...options, min: 1, max: 1000 })
        const server = new Server(
          capacity,
          () => adaptive.limit,
          (sample, ended, started, now) => adaptive.sample(sample, ended, started, now)
        )
        const settled = (capacity: number) => {
          for (let window = 0; window < 30; window++) {
            server.run(1000)
            assert.isAtLeast(adaptive.limit, capacity, `${Kind.name}, ${capacity}`)
            assert.isAtMost(adaptive.limit, 3 * capacity, `${Kind.name}, ${capacity}`)
          }
        }
        server.run(50 * options.window)
        settled(capacity)
        server.capacity /= 2
        server.run(100 * options.window)
        settled(server.capacity)
      }
    }
  })

  it("BH12: the usual latency follows a lasting step up in ten minutes, a step down in two", () => {
    const adaptive = new Gradient({ ...options, min: 1 })
    let now = 0
    let number = 0
    const windows = (count: number, elapsed: number) => {
      for (let i = 0; i < count * 20; i++) {
        now += 50
        adaptive.sample("success", { number: ++number, elapsed, inflight: adaptive.limit, kind: "" }, number, now)
      }
    }
    windows(110, 50)
    assert.strictEqual(adaptive.limit, 100)
    windows(60, 500)
    assert.isBelow(adaptive.limit, 10)
    windows(540, 500)
    const before = adaptive.limit
    windows(60, 500)
    assert.isAbove(adaptive.limit, before)
    windows(60, 50)
    windows(60, 400)
    assert.isBelow(adaptive.limit, 100)
  })

  it("gradient does not rise in a window in which something was dropped", () => {
    const adaptive = new Gradient(options)
    const answers = (from: number) => {
      for (let i = 0; i <= 20; i++) {
        const ended = { number: from + i, elapsed: 10, inflight: 20, kind: "" }
        adaptive.sample("success", ended, from + i, from + i * 50)
      }
    }
    answers(0)
    assert.isAbove(adaptive.limit, 20)
    const before = adaptive.limit
    adaptive.sample("dropped", { number: 1001, elapsed: 10, inflight: 20, kind: "" }, 1001, 1001)
    answers(1002)
    assert.strictEqual(adaptive.limit, before * 0.9)
  })

  it("a dear kind of request beside a cheap one does not look like a slower upstream", () => {
    const limitAfter = (kindOf: (elapsed: number) => string) => {
      const adaptive = new Gradient(options)
      let number = 0
      for (let i = 0; i < 4000; i++) {
        // Cheap ones at first, then dear ones.
        const elapsed = i < 2000 ? 10 : 400
        const ended = { number: ++number, elapsed, inflight: adaptive.limit, kind: kindOf(elapsed) }
        adaptive.sample("success", ended, number, i * 50)
      }
      return adaptive.limit
    }
    assert.strictEqual(limitAfter(String), 100)
    assert.isBelow(
      limitAfter(() => ""),
      20
    )
  })

  /** `n` answers at once, at the end of a window. */
  const answers = (adaptive: Aimd, n: number, now: number, more: Partial<Ended> = {}) => {
    for (let i = 0; i < n; i++) {
      adaptive.sample("success", { number: i, elapsed: 10, inflight: 20, kind: "a", ...more }, i, now)
    }
  }

  it("gradient learns nothing from a time that cannot be", () => {
    for (const elapsed of [NaN, Infinity, -1, -1_000]) {
      const [told, spared] = [new Gradient(options), new Gradient(options)]
      answers(told, 5, 0, { elapsed })
      for (const adaptive of [told, spared]) {
        answers(adaptive, 1, 0)
        answers(adaptive, 8, 1_000)
        assert.strictEqual(adaptive.limit, 20)
        answers(adaptive, 1, 1_000)
      }
      assert.isAbove(spared.limit, 20)
      assert.strictEqual(told.limit, spared.limit, `${elapsed}`)
    }
  })

  it("gradient turns when a window is over and ten have answered, some of them at once", () => {
    const adaptive = new Gradient(options)
    answers(adaptive, 1, 0, { elapsed: 0 })
    answers(adaptive, 8, 1_000, { elapsed: 0 })
    assert.strictEqual(adaptive.limit, 20)
    answers(adaptive, 1, 1_000, { elapsed: 0 })
    assert.isAbove(adaptive.limit, 20)
  })

  it("gradient goes on while one kind of request is not made", () => {
    const adaptive = new Gradient(options)
    for (const [kind, now] of [
      ["a", 1_000],
      ["b", 2_000],
      ["b", 3_000]
    ] as const) {
      answers(adaptive, 1, now - 1_000, { kind })
      const before = adaptive.limit
      answers(adaptive, 9, now, { kind })
      assert.isAbove(adaptive.limit, before, `${now}`)
    }
  })

  it("gradient rises with half of it in use, and not with less", () => {
    for (const inflight of [9, 10]) {
      const adaptive = new Gradient(options)
      answers(adaptive, 1, 0, { inflight })
      answers(adaptive, 9, 1_000, { inflight })
      assert.strictEqual(adaptive.limit > 20, inflight === 10)
    }
  })

  it("keeps no memory of kinds without end", () => {
    const adaptive = new Gradient(options)
    for (let i = 0; i < 10_000; i++) {
      adaptive.sample("success", { number: i, elapsed: 1, inflight: 20, kind: `kind ${i}` }, i, i)
    }
    assert.isAtMost((adaptive as any).kinds.size, 65)
  })
})

describe("permits", () => {
  it("BH1, BH3: never more in flight than the limit; none starts after it shrank until enough have ended", () => {
    const commands = fc.array(
      fc.constantFrom<Array<"take" | Sample>>("take", "take", "success", "dropped", "ignored"),
      {
        maxLength: 200,
        size: "max"
      }
    )
    fc.assert(
      fc.property(commands, (commands) => {
        const changes: Array<number> = []
        const permits = new Permits(
          5,
          new Aimd({ initial: 5, min: 1, max: 8, decrease: 0.5, window: 10 }),
          (limit, previous) => {
            assert.notStrictEqual(limit, previous)
            changes.push(limit)
          }
        )
        let running = 0
        for (const [i, command] of commands.entries()) {
          if (command === "take") {
            const room = running < permits.limit
            assert.strictEqual(permits.take(), room)
            if (room) running++
          } else if (running > 0) {
            running--
            permits.giveBack()
            permits.learn(command, permits.started, 1, "", i * 5)
          }
          assert.strictEqual(permits.inflight, running)
          assert.isTrue(Number.isInteger(permits.limit) && permits.limit >= 1 && permits.limit <= 8)
        }
        assert.strictEqual(changes.at(-1) ?? 5, permits.limit)
      })
    )
  })

  it("without an adaptive limit nothing is learned", () => {
    const permits = new Permits(1, undefined, () => assert.fail("it changed"))
    assert.isTrue(permits.take())
    permits.giveBack()
    permits.learn("dropped", 1, 1, "", 0)
    assert.strictEqual(permits.limit, 1)
  })
})
