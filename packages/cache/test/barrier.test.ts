import { assert, describe, it } from "@effect/vitest"
import { Barrier } from "../src/internal/barrier.ts"

describe("the barrier", () => {
  it("CA6: disbelieves what was written before its key, its tag or everything was invalidated", () => {
    const barrier = new Barrier()
    barrier.raiseKey("a", 10)
    barrier.raiseTag("x", 20)
    assert.isFalse(barrier.passes("a", [], 10, 100))
    assert.isTrue(barrier.passes("a", [], 11, 100))
    assert.isTrue(barrier.passes("b", [], 10, 100))
    assert.isFalse(barrier.passes("b", ["y", "x"], 20, 100))
    assert.isTrue(barrier.passes("b", ["x"], 21, 100))
    barrier.raiseAll(30)
    assert.isFalse(barrier.passes("b", [], 30, 100))
    assert.isTrue(barrier.passes("b", ["x"], 31, 100))
  })

  it("disbelieves what comes from the future", () => {
    assert.isFalse(new Barrier().passes("a", [], 101, 100))
  })

  it("does not fall when the wall clock is set back", () => {
    const barrier = new Barrier()
    barrier.stamp(1_000)
    barrier.raiseKey("a", 400)
    assert.isFalse(barrier.passes("a", [], 1_000, 2_000))
    assert.isTrue(barrier.passes("a", [], 1_001, 2_000))
  })

  it("forgets names rather than growing without end, on the safe side", () => {
    const barrier = new Barrier(2)
    barrier.raiseKey("a", 10)
    barrier.raiseKey("b", 11)
    barrier.raiseKey("a", 12)
    assert.isTrue(barrier.passes("z", [], 5, 100))
    barrier.raiseKey("c", 13)
    assert.isFalse(barrier.passes("z", [], 13, 100))
    assert.isTrue(barrier.passes("z", [], 14, 100))
  })

  it("needs to remember no name once everything was invalidated", () => {
    for (const raise of ["raiseKey", "raiseTag"] as const) {
      const barrier = new Barrier(2)
      for (const name of ["a", "b"]) barrier[raise](name, 10)
      barrier.raiseAll(11)
      barrier[raise]("c", 20)
      assert.isTrue(barrier.passes("z", [], 15, 100), raise)
    }
  })
})
