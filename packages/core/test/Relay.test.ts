import { assert, describe, it } from "@effect/vitest"
import { Call, Relay } from "@hawser/core"

describe("a call that does the work of several", () => {
  it("tells its failures to all, and its steps to those who keep a report", () => {
    const [quiet, asking] = [new Call.Call(), new Call.Call(new Call.Recorder())]
    const members = [{ call: quiet }, { call: undefined }, { call: asking }]
    const working = new Call.Call(new Relay.Recorder(members))
    working.failures = new Relay.Failures(members)
    Call.fail(working, "a", "broken")
    working.recorder!.add(5, { step: "ask", upstream: "a", attempt: 1 })
    for (const call of [quiet, asking, working]) assert.deepStrictEqual([...call.failures!], [["a", "broken"]])
    assert.deepStrictEqual(asking.recorder!.steps, [{ at: 0, step: "ask", upstream: "a", attempt: 1 }])
    assert.isEmpty(working.recorder!.steps)
  })

  it("tells nothing to whoever has left, and nothing of before to whoever comes", () => {
    const [early, late] = [new Call.Call(), new Call.Call()]
    const members = new Set([{ call: early }])
    const failures = new Relay.Failures(members)
    failures.set("a", 1)
    members.clear()
    members.add({ call: late })
    failures.set("b", 2)
    assert.deepStrictEqual([[...early.failures!.keys()], [...late.failures!.keys()]], [["a"], ["b"]])
  })
})
