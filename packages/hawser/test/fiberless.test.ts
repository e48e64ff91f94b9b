import { assert, describe, it } from "@effect/vitest"
import { Call, JsonRpc, Outcome } from "@hawser/core"
import { Filters, Head, Logs, Snapshot, Subscription, Write } from "@hawser/rpc"
import { Context, Effect, Exit, Layer } from "effect"

/** A client that needs no fiber for whatever it is asked, and ends it as `answer` says. */
const below = (answer: Exit.Exit<unknown>) => {
  const asked: Array<string> = []
  const layer = Layer.succeed(JsonRpc.client<never>())({
    name: "below",
    inspect: () => ({ name: "below" }),
    request: ({ method }) =>
      Effect.suspend(() => {
        asked.push(method)
        return answer
      }),
    submit: ({ method }, caller) => {
      asked.push(`${method}, without a fiber`)
      caller.end(answer)
      return JsonRpc.nowhere
    }
  })
  return { asked, layer }
}

/** The layers of a client that have nothing to do with most requests. */
const layered = (head: Head.Head, answer: Exit.Exit<unknown>) =>
  Effect.gen(function* () {
    const { asked, layer } = below(answer)
    const client = layer.pipe(
      Write.layer(),
      Head.client(head),
      Logs.layer(),
      Snapshot.layer,
      Subscription.layer(),
      Filters.layer()
    )
    return { asked, client: Context.get(yield* Layer.build(client), JsonRpc.client<any>()) }
  })

const told = (client: JsonRpc.Service<unknown>, request: JsonRpc.Request): Exit.Exit<unknown, unknown> | "nothing" => {
  let end: Exit.Exit<unknown, unknown> | undefined
  const call = new Call.Call()
  const place = client.submit!(request, { call, end: (exit) => (end = exit) })
  return place === undefined ? "nothing" : end!
}

const latest = ["0x0000000000000000000000000000000000000001", "latest"]

const light: ReadonlyArray<readonly [string, ReadonlyArray<unknown>]> = [
  ["eth_blockNumber", []],
  ["eth_getBalance", latest],
  ["eth_call", [{ to: latest[0] }, "latest"]],
  ["eth_getBlockByNumber", ["latest", false]],
  ["eth_getTransactionReceipt", [`0x${"11".repeat(32)}`]]
]

const heavy: ReadonlyArray<readonly [string, ReadonlyArray<unknown>]> = [
  ["eth_getLogs", [{ fromBlock: "0x1", toBlock: "0x10" }]],
  ["eth_sendRawTransaction", ["0x00"]],
  ["eth_newBlockFilter", []],
  ["eth_getFilterChanges", ["0x1"]],
  ["eth_subscribe", ["newHeads"]],
  ["eth_unsubscribe", ["0x1"]]
]

const refused = (kind: "missing" | "failed" | "reverted"): Exit.Exit<never> => {
  const error =
    kind === "reverted"
      ? new JsonRpc.Rejected({
          upstream: "a",
          code: 3,
          message: "execution reverted",
          data: "0x",
          kind: "revert",
          [Outcome.TypeId]: Outcome.verdict({ counts: "success", again: "nowhere" })
        })
      : new Call.NoAnswer({
          causes: [
            {
              upstream: "a",
              error:
                kind === "missing"
                  ? new Head.NotFound({ upstream: "a", method: "eth_getTransactionReceipt" })
                  : new Error("broken")
            }
          ],
          [Outcome.TypeId]: Outcome.verdict()
        })
  return Exit.fail(error) as Exit.Exit<never>
}

const block = { number: "0x10", hash: `0x${"22".repeat(32)}`, parentHash: `0x${"33".repeat(32)}`, timestamp: "0x1" }

describe("the layers of a client", () => {
  const answers = {
    "a result": Exit.succeed("0x10"),
    "a block": Exit.succeed(block),
    nothing: Exit.succeed(null),
    "a refusal": refused("reverted"),
    "nobody has it": refused("missing"),
    "nobody answers": refused("failed")
  }
  for (const [what, answer] of Object.entries(answers)) {
    it.effect(`say the same of a read with and without a fiber: ${what}`, () =>
      Effect.gen(function* () {
        for (const [method, params] of light) {
          const request = JsonRpc.makeRequest(method, params)
          const bare = yield* layered(Head.make(), answer)
          const fiber = yield* layered(Head.make(), answer)
          const exit = yield* Effect.exit(fiber.client.request(request))
          assert.deepStrictEqual(told(bare.client, request), exit, method)
          assert.deepStrictEqual(bare.asked, [`${method}, without a fiber`])
          assert.deepStrictEqual(fiber.asked, [method])
          assert.deepStrictEqual(bare.client.inspect(), fiber.client.inspect())
        }
      })
    )
  }

  it.effect("leave to a fiber what they have to do with themselves, and batches", () =>
    Effect.gen(function* () {
      const { asked, client } = yield* layered(Head.make(), Exit.succeed("0x1"))
      const requests = heavy.map(([method, params]) => JsonRpc.makeRequest(method, params))
      for (const request of [...requests, JsonRpc.makeBatch([JsonRpc.makeRequest("eth_blockNumber")])]) {
        assert.strictEqual(told(client, request), "nothing", request.method)
      }
      assert.deepStrictEqual(asked, [])
    })
  )

  it.effect("a change that throws is a defect of the caller's, not of whoever tells", () =>
    Effect.gen(function* () {
      const service = yield* Effect.provide(JsonRpc.client<never>(), below(Exit.succeed(1)).layer)
      const submit = JsonRpc.interpret(service, () => () => {
        throw new Error("broken")
      })
      const told: Array<Exit.Exit<unknown, unknown>> = []
      submit!(JsonRpc.makeRequest("eth_chainId"), { end: (exit) => void told.push(exit) })
      assert.deepStrictEqual(told, [Exit.die(new Error("broken"))])
    })
  )

  it.effect("tell nobody of an older head", () =>
    Effect.gen(function* () {
      const head = Head.make()
      const request = JsonRpc.makeRequest("eth_blockNumber")
      for (const name of ["a", "b"]) {
        const upstream = Layer.succeed(JsonRpc.upstream<never>())({
          name,
          inspect: () => ({ name }),
          request: () => Effect.succeed("0x20")
        })
        const stage = Context.get(yield* Layer.build(upstream.pipe(Head.upstream(head))), JsonRpc.upstream<any>())
        yield* stage.request(request)
      }
      const { client } = yield* layered(head, Exit.succeed("0x10"))
      assert.deepStrictEqual(told(client, request), Exit.succeed("0x20"))
      assert.strictEqual(yield* client.request(request), "0x20")
    })
  )
})
