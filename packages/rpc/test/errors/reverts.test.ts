import { assert, describe, it } from "@effect/vitest"
import { JsonRpc } from "@hawser/core"
import { RpcError } from "@hawser/rpc"
import fc from "fast-check"
import { words } from "../../src/internal/errors/revert.ts"
import { errorText } from "../../src/internal/errors/said.ts"
import { without } from "./alternatives.ts"
import { fixtures, now, replyOf } from "./fixtures.ts"

/** ABI-encoded `Error(string)`. */
const encoded = (reason: string): string => {
  const bytes = Buffer.from(reason)
  const word = (n: number) => n.toString(16).padStart(64, "0")
  return `0x08c379a0${word(32)}${word(bytes.length)}${bytes.toString("hex").padEnd(Math.ceil(bytes.length / 32) * 64, "0")}`
}

/** How clients tell of a revert whose reason the contract has chosen. */
const clients: Readonly<Record<string, (reason: string) => RpcError.Reply["error"]>> = {
  geth: (reason) => ({ code: 3, message: `execution reverted: ${reason}`, data: encoded(reason) }),
  "geth before 1.9.15": (reason) => ({ code: -32000, message: `execution reverted: ${reason}` }),
  "code 3 alone": (reason) => ({ code: 3, message: reason }),
  Besu: (reason) => ({ code: -32000, message: `Execution reverted: ${reason}`, data: encoded(reason) }),
  Parity: (reason) => ({ code: -32015, message: "VM execution error.", data: `Reverted ${encoded(reason)}` }),
  Nethermind: (reason) => ({ code: -32015, message: "VM execution error.", data: `revert: ${reason}` }),
  "Nethermind, short": (reason) => ({ code: -32015, message: `revert ${reason}`, data: encoded(reason) }),
  Hardhat: (reason) => ({
    code: -32603,
    message: `Error: VM Exception while processing transaction: reverted with reason string '${reason}'`,
    data: { message: reason, data: encoded(reason) }
  }),
  Ganache: (reason) => ({
    code: -32000,
    message: `VM Exception while processing transaction: revert ${reason}`,
    data: { "0x5f3a": { error: "revert", return: encoded(reason), reason }, name: "RuntimeError" }
  }),
  MetaMask: (reason) => ({
    code: -32603,
    message: "Internal JSON-RPC error.",
    data: { originalError: { code: 3, message: `execution reverted: ${reason}`, data: encoded(reason) } }
  }),
  Lotus: (reason) => ({
    code: 11,
    message: `message execution failed (exit=[33], revert reason=[Error(${reason})], vm error=[Error(${reason})])`
  }),
  Cosmos: (reason) => ({ code: -32000, message: `rpc error: code = Unknown desc = execution reverted: ${reason}` }),
  "ERC-4337": (reason) => ({ code: -32500, message: `AA23 reverted: ${reason}` }),
  "data alone": (reason) => ({ code: -32000, message: reason, data: encoded(reason) })
}

const read = (error: RpcError.Reply["error"], method = "eth_call", table?: ReadonlyArray<RpcError.Row>) =>
  RpcError.classify(
    { method, nature: JsonRpc.makeRequest(method).nature, status: 200, retryAfter: "9", error, body: undefined },
    now,
    table
  )

describe("a contract chooses its words", () => {
  const reasons = fixtures.flatMap(({ message }) => (typeof message === "string" ? message : []))

  it.each(Object.keys(clients))("%s: no reason is read as anything but a revert", (client) => {
    for (const reason of reasons) {
      const { hints, kind, retryAfter } = read(clients[client]!(reason))
      assert.deepStrictEqual({ hints, kind, retryAfter }, { hints: {}, kind: "revert", retryAfter: undefined }, reason)
    }
  })

  it("nor is one that nobody has thought of", () => {
    const character = fc.nat({ max: 0xffff }).map((code) => String.fromCharCode(code))
    const method = fc.constantFrom(
      "eth_call",
      "eth_estimateGas",
      "eth_sendRawTransaction",
      "debug_traceCall",
      "eth_getLogs"
    )
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.values(clients)),
        fc.string({ unit: character }),
        method,
        (client, reason, method) => {
          assert.strictEqual(read(client(reason), method).kind, "revert")
        }
      )
    )
  })

  it("nor by a row of the user's", () => {
    const table = RpcError.extend([{ kind: "quota", pattern: "spent" }])
    assert.strictEqual(read({ code: -32000, message: "spent" }, "eth_call", table).kind, "quota")
    for (const client of Object.values(clients))
      assert.strictEqual(read(client("spent"), "eth_call", table).kind, "revert")
  })
})

it("every word for a revert is somebody's", () => {
  const texts = fixtures.filter(({ kind }) => kind === "revert").map((fixture) => errorText(replyOf(fixture)))
  const said = texts.filter((text) => words.test(text))
  const idle = without(words.source).filter(([, rest]) => said.every((text) => new RegExp(rest).test(text)))
  assert.deepStrictEqual(idle, [])
})

describe("what the EVM returned", () => {
  const isRevert = (data: unknown, message = "internal error") =>
    read({ code: -32000, message, data }).kind === "revert"
  const nested = (depth: number): unknown => (depth === 0 ? encoded("no") : { data: nested(depth - 1) })

  it.each(["data", "originalError", "error", "cause", "result", "return", "output"])("may be under %s", (place) =>
    assert.isTrue(isRevert({ [place]: encoded("no") }))
  )

  it("is under no other key, unless that is a transaction's hash and comes first", () => {
    assert.isFalse(isRevert({ input: encoded("no") }))
    assert.isFalse(isRevert({ tx: { data: encoded("no") } }))
    assert.isTrue(isRevert({ "0x5f3a": { data: encoded("no") } }))
    assert.isFalse(isRevert({ name: "x", "0x5f3a": { data: encoded("no") } }))
  })

  it("is looked for four levels deep", () => {
    assert.isTrue(isRevert(nested(4)))
    assert.isFalse(isRevert(nested(5)))
    assert.isTrue(isRevert({ "0x1": { "0x2": { "0x3": { "0x4": encoded("no") } } } }))
    assert.isFalse(isRevert({ "0x1": { "0x2": { "0x3": { "0x4": { "0x5": encoded("no") } } } } }))
    assert.isFalse(isRevert(null))
  })

  it("is known by its beginning, and by nothing else where nobody speaks of a revert", () => {
    assert.isTrue(isRevert(encoded("no".repeat(20_000))))
    assert.isFalse(isRevert(`see ${encoded("no")}`))
    assert.isFalse(isRevert("0x12345678"))
    assert.isTrue(isRevert("0x12345678", "it did revert"))
    assert.isTrue(isRevert(`0x${"12".repeat(20_000)}`, "it did revert"))
    assert.isFalse(isRevert("0x1234 gas", "it did not revert"))
    assert.isFalse(isRevert("at 0x1234", "it did not revert"))
  })
})

describe("what is no revert", () => {
  it.each([
    ["words that only resemble one", { code: -32000, message: "header not found (block was reorged)" }, "missing"],
    ["hex without a revert beside it", { code: -32000, message: "header not found", data: "0x1234" }, "missing"],
    ["a hash in the data", { code: -32000, message: "already known", data: `0x${"5f".repeat(32)}` }, "known"],
    ["code 3 of another type", { code: [3], message: "header not found" }, "missing"]
  ] as const)("%s", (_, error, kind) => {
    assert.strictEqual(read(error, kind === "known" ? "eth_sendRawTransaction" : "eth_call").kind, kind)
  })

  it("the body of an HTTP error: no EVM wrote it", () => {
    const reply = { method: "eth_call", nature: "read", status: 502, retryAfter: undefined, error: undefined } as const
    assert.strictEqual(RpcError.classify({ ...reply, body: "execution reverted" }, now).kind, "transient")
  })
})
