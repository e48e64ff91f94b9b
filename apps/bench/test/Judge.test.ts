import { assert, describe, it } from "@effect/vitest"
import * as Judge from "../src/Judge.ts"
import { type Call, type Kind, quantity } from "../src/Plan.ts"

const call = (kind: Kind, at = 0): Call => ({ at, kind, n: 1, back: 2 })
const answer = (answer: unknown, floor = 100, took = 5): Judge.Answer => ({ answer, floor, took })
const hashOf = (number: number) => `0xhash${number}`

/** A chain whose every answer says which block it is from. */
const truth: Judge.Truth = (requests) =>
  Promise.resolve(
    requests.map(({ method, params }) => {
      const number = Number(method === "eth_getBlockByNumber" ? params[0] : params[1])
      return method === "eth_getBlockByNumber"
        ? { number: quantity(number), hash: hashOf(number) }
        : `${method} at ${number}`
    })
  )

const judge = (calls: ReadonlyArray<Call>, answers: ReadonlyArray<Judge.Answer>, head = 100) =>
  Judge.judge(calls, answers, () => head, truth)

describe("judge", () => {
  it("answers as of the head that was told are right", async () => {
    const calls = [call("head"), call("latest"), call("call"), call("balance")]
    const answers = [
      answer(quantity(100)),
      answer({ number: quantity(100), hash: hashOf(100) }),
      answer("eth_call at 100"),
      answer("eth_getBalance at 98")
    ]
    assert.deepStrictEqual(await judge(calls, answers), ["right", "right", "right", "right"])
  })

  it("answers as of an older head went back", async () => {
    const calls = [call("head"), call("latest"), call("call")]
    const answers = [answer(quantity(94)), answer({ number: quantity(94), hash: hashOf(94) }), answer("eth_call at 94")]
    assert.deepStrictEqual(await judge(calls, answers), ["back", "back", "back"])
  })

  it("what the chain does not say is untrue, and so is what it did not say yet", async () => {
    const calls = [call("head"), call("latest"), call("call"), call("balance"), call("block"), call("head")]
    const answers = [
      answer(quantity(101)),
      answer({ number: quantity(100), hash: hashOf(99) }),
      answer("eth_call at 101"),
      answer("eth_getBalance at 97"),
      answer(null),
      answer(undefined)
    ]
    assert.deepStrictEqual(
      await judge(calls, answers),
      Array.from(calls, () => "untrue" as const)
    )
  })

  it("a head that never was binds nobody", async () => {
    assert.deepStrictEqual(await judge([call("call")], [answer("eth_call at 100", 101)]), ["right"])
  })

  it("a failure is no answer, and nobody is asked about it", async () => {
    const failed: Judge.Answer = { floor: 100, took: 5, error: "HTTP 503" }
    assert.deepStrictEqual(await judge([call("call"), call("head")], [failed, answer(quantity(100))]), [
      "failed",
      "right"
    ])
  })

  it("the head is the last block that had come", () => {
    const head = Judge.headAt(
      [
        { number: 1, at: 1000 },
        { number: 2, at: 2000 }
      ],
      1500
    )
    assert.deepStrictEqual([-1000, 0, 499, 500, 9000].map(head), [1, 1, 1, 2, 2])
  })
})
