import { assert, describe, it } from "@effect/vitest"
import { JsonRpc, Outcome } from "@hawser/core"
import { RpcError } from "@hawser/rpc"
import * as fc from "fast-check"
import { blocksOf } from "../src/internal/block.ts"
import { Capabilities } from "../src/internal/head/capabilities.ts"

const memory = 1_000
const head = 10_000

const hex = (number: number) => `0x${number.toString(16)}`

const error = (kind: RpcError.TroubleKind, hints: RpcError.Hints = {}) =>
  new RpcError.ResponseError({
    upstream: "a",
    kind,
    code: -32000,
    message: kind,
    data: undefined,
    status: 200,
    retryAfter: undefined,
    hints,
    [Outcome.TypeId]: RpcError.verdictOf(kind)
  })

const call = (block: number) => JsonRpc.makeRequest("eth_call", [{}, hex(block)])
const logs = (from: number, to: number) =>
  JsonRpc.makeRequest("eth_getLogs", [{ fromBlock: hex(from), toBlock: hex(to) }])
const trace = JsonRpc.makeRequest("debug_traceTransaction", ["0x"])

class Upstream {
  readonly capabilities = new Capabilities(memory)
  now = 0

  refuses(request: JsonRpc.Request) {
    return this.capabilities.refuses(request, blocksOf(request), this.now)
  }

  fails(request: JsonRpc.Request, kind: RpcError.TroubleKind, hints?: RpcError.Hints): void {
    this.capabilities.failed(request, blocksOf(request), error(kind, hints), head, this.now)
  }

  answers(request: JsonRpc.Request): void {
    this.capabilities.answered(request, blocksOf(request), this.now)
  }
}

describe("what an upstream cannot do", () => {
  it("a method that it does not have, or not on our plan", () => {
    for (const kind of ["unsupported", "plan"] as const) {
      const upstream = new Upstream()
      assert.isTrue(upstream.capabilities.unlimited)
      upstream.fails(trace, kind)
      assert.deepStrictEqual(upstream.refuses(trace), { kind })
      assert.isUndefined(upstream.refuses(call(1)))
      assert.deepStrictEqual(upstream.capabilities.inspect(0).unsupported, ["debug_traceTransaction"])
      upstream.now = memory
      assert.isUndefined(upstream.refuses(trace))
      assert.isTrue(upstream.capabilities.unlimited)
    }
  })

  it("a plan that lacks old state says nothing of newer", () => {
    const upstream = new Upstream()
    upstream.fails(call(500), "plan")
    assert.deepStrictEqual(upstream.refuses(call(400)), { kind: "pruned", earliest: 501 })
    assert.isUndefined(upstream.refuses(call(501)))
    upstream.fails(JsonRpc.makeRequest("eth_call", [{}, "latest"]), "plan")
    assert.isUndefined(upstream.refuses(call(501)))
  })

  it("blocks that it no longer has, by what it says or by what it lacked", () => {
    const upstream = new Upstream()
    upstream.fails(call(500), "missing")
    upstream.fails(call(300), "missing")
    assert.deepStrictEqual(upstream.refuses(call(500)), { kind: "pruned", earliest: 501 })
    upstream.fails(call(200), "missing", { earliest: 800 })
    assert.deepStrictEqual(upstream.refuses(call(799)), { kind: "pruned", earliest: 800 })
    assert.isUndefined(upstream.refuses(call(800)))
    assert.isUndefined(upstream.refuses(logs(1, 2)))
    assert.isUndefined(upstream.refuses(JsonRpc.makeRequest("eth_call", [{}, "latest"])))
  })

  it("but not blocks that it does not have yet", () => {
    const upstream = new Upstream()
    upstream.fails(call(head - 1), "missing")
    upstream.fails(call(head + 5), "missing")
    upstream.fails(call(5), "missing", { earliest: head + 1_000 })
    assert.isUndefined(upstream.refuses(call(head - 1)))
  })

  it("ranges, as it says", () => {
    const upstream = new Upstream()
    upstream.fails(logs(1, 5_000), "range")
    assert.isUndefined(upstream.refuses(logs(1, 5_000)))
    upstream.fails(logs(1, 5_000), "range", { range: { blocks: 100 } })
    assert.deepStrictEqual(upstream.refuses(logs(1, 101)), { kind: "range", blocks: 100 })
    assert.isUndefined(upstream.refuses(logs(1, 100)))
  })

  it("is forgotten when it does it after all", () => {
    const upstream = new Upstream()
    upstream.fails(trace, "unsupported")
    upstream.fails(call(500), "missing")
    upstream.fails(logs(1_000, 5_000), "range", { range: { blocks: 100 } })
    upstream.answers(trace)
    upstream.answers(call(400))
    upstream.answers(logs(1_000, 2_000))
    assert.isTrue(upstream.capabilities.unlimited)
  })

  it("takes no more room than it may", () => {
    const upstream = new Upstream()
    for (let i = 0; i < 10_000; i++) upstream.fails(JsonRpc.makeRequest(`x_get${i}`), "unsupported")
    assert.strictEqual(upstream.capabilities.inspect(0).unsupported.length, 256)
    assert.isUndefined(upstream.refuses(JsonRpc.makeRequest("x_get0")))
    assert.isDefined(upstream.refuses(JsonRpc.makeRequest("x_get9999")))
  })
})

describe("under any history", () => {
  const kind = fc.constantFrom("unsupported", "plan", "missing", "range", "rate", "transient", "syncing" as const)
  const hints = fc.record(
    { earliest: fc.nat({ max: 2 * head }), range: fc.record({ blocks: fc.integer({ min: 1, max: 50 }) }) },
    { requiredKeys: [] }
  )
  const request = fc.oneof(
    fc.nat({ max: head + 10 }).map(call),
    fc.tuple(fc.nat({ max: head }), fc.nat({ max: 100 })).map(([from, span]) => logs(from, from + span)),
    fc.constant(trace),
    fc.constant(JsonRpc.makeRequest("eth_call", [{}, "latest"]))
  )
  const step = fc.oneof(
    fc.record({ do: fc.constant("fails" as const), request, kind, hints }),
    fc.record({ do: fc.constant("answers" as const), request }),
    fc.record({ do: fc.constant("tick" as const), by: fc.nat({ max: memory }) })
  )

  it("what has just been answered is not refused, and nothing is refused for longer than is remembered", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), request, (steps, last) => {
        const upstream = new Upstream()
        for (const step of steps) {
          if (step.do === "tick") upstream.now += step.by
          else if (step.do === "answers") {
            upstream.answers(step.request)
            assert.isUndefined(upstream.refuses(step.request))
          } else {
            const before = upstream.refuses(step.request)
            upstream.fails(step.request, step.kind, step.hints)
            if (["rate", "transient", "syncing"].includes(step.kind)) {
              assert.deepStrictEqual(upstream.refuses(step.request), before)
            }
          }
        }
        upstream.now += memory
        assert.isUndefined(upstream.refuses(last))
      }),
      { numRuns: 500 }
    )
  })
})
