import { assert, describe, it } from "@effect/vitest"
import { JsonRpc } from "@hawser/core"
import * as fc from "fast-check"
import { isDeepStrictEqual } from "node:util"
import * as Key from "../src/Key.ts"
import { methods } from "../src/internal/methods.ts"
import { api, meaning, rewritten, type Schema, valueOf } from "./support/executionApi.ts"

const ask = (method: string, ...params: ReadonlyArray<unknown>) => JsonRpc.makeRequest(method, params)
const key = Key.make(1)

type Params = ReadonlyArray<unknown>

/** Random numbers in [0, 1). */
const dice = (seed: number) => () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 32
}

const paramsOf = (schemas: ReadonlyArray<Schema>): fc.Arbitrary<Params> =>
  fc
    .tuple(fc.tuple(...schemas.map(valueOf)), fc.nat({ max: schemas.length }), fc.boolean())
    .map(([params, length, whole]) => (whole ? params : params.slice(0, length)))

/** Two lists of parameters: one written in two ways, one of which a single parameter was changed, or any two. */
const pairOf = (schemas: ReadonlyArray<Schema>): fc.Arbitrary<readonly [Params, Params]> =>
  fc
    .tuple(paramsOf(schemas), paramsOf(schemas), fc.nat(), fc.constantFrom("rewritten", "changed", "drawn", "wrapped"))
    .map(([a, b, seed, how]) => {
      const draw = dice(seed)
      const rewrite = (params: Params) => params.map((param, i) => rewritten(schemas[i] ?? "any", param, draw))
      if (how === "rewritten") return [a, rewrite(a)]
      if (how === "drawn" || a.length === 0) return [a, b]
      const at = seed % a.length
      if (how === "wrapped") return [a, a.with(at, [a[at]])]
      return [a, rewrite(at < b.length ? a.with(at, b[at]) : a.slice(0, at))]
    })

const meanings = (schemas: ReadonlyArray<Schema>, params: Params) =>
  params.map((param, i) => meaning(schemas[i] ?? "any", param))

const mistaken = (method: string, of: Key.Key, settings: fc.Parameters<unknown>) => {
  const schemas = api[method]!
  return fc.check(
    fc.property(pairOf(schemas), ([a, b]) => {
      const [ours, theirs] = [of(ask(method, ...a)), of(ask(method, ...b))]
      // A record that names one thing twice has no key.
      if (ours === undefined || theirs === undefined) return
      assert.strictEqual(
        ours === theirs,
        isDeepStrictEqual(meanings(schemas, a), meanings(schemas, b)),
        JSON.stringify([a, b])
      )
    }),
    { endOnFailure: true, ...settings }
  )
}

describe("two requests share a key exactly when they mean the same", () => {
  for (const [method, schemas] of Object.entries(api)) {
    it(method, () => {
      const { errorInstance, failed, seed } = mistaken(method, key, { numRuns: schemas.length === 0 ? 20 : 400 })
      assert.isFalse(failed, `seed ${seed}: ${String(errorInstance)}`)
    })
  }

  it("and no two methods or chains do", () => {
    const keys = [undefined, 1, 10].flatMap((chain) =>
      [...Object.keys(api), ...methods.keys(), "vendor_x", "1/eth_call", '"eth_call"', "eth_call("].flatMap((method) =>
        [[], ["0x1"], [[]]].map((params) => [`${chain} ${method}`, Key.make(chain)(ask(method, ...params))] as const)
      )
    )
    const owners = new Map<string, string>()
    for (const [owner, text] of keys) {
      assert.include([owner, undefined], owners.get(text!))
      owners.set(text!, owner)
    }
  })
})

describe("mutants are found", () => {
  const joined: Key.Key = ({ method, params }) => `${method}${params.flat(Infinity).join()}`
  const cased: Key.Key = ({ method, params }) => `${method}${JSON.stringify(params)}`
  const lower: Key.Key = (request) => cased(request)!.toLowerCase()
  const mutants: Readonly<Record<string, readonly [Key.Key, string]>> = {
    "lists that are flattened": [joined, "eth_getLogs"],
    "JSON as it stands": [cased, "eth_getBalance"],
    "all in lower case": [lower, "eth_feeHistory"]
  }
  for (const [name, [mutant, method]] of Object.entries(mutants)) {
    it(name, () => assert.isTrue(mistaken(method, mutant, { numRuns: 3_000, seed: 1 }).failed))
  }
})

describe("near misses", () => {
  const [a, b] = ["0x52908400098527886E0F7030069857D2E4169EE7", `0x${"b".repeat(40)}`]
  const [A, B] = [`0x${"a1".repeat(32)}`, `0x${"b2".repeat(32)}`]
  const logs = (filter: unknown) => ask("eth_getLogs", filter)
  const call = (transaction: unknown, ...rest: ReadonlyArray<unknown>) => ask("eth_call", transaction, "0x1", ...rest)

  const different: Readonly<Record<string, readonly [JsonRpc.Request, JsonRpc.Request]>> = {
    "A or B, A then B": [logs({ topics: [[A, B]] }), logs({ topics: [A, B] })],
    "[[A], [B]], [[A, B]]": [logs({ topics: [[A], [B]] }), logs({ topics: [[A, B]] })],
    "anything then A, A": [logs({ topics: [null, A] }), logs({ topics: [A] })],
    "A and one more topic, A": [logs({ topics: [A, null] }), logs({ topics: [A] })],
    "no topics, one of which nothing matches": [logs({ topics: [] }), logs({ topics: [[]] })],
    "topics left out": [logs({}), logs({ topics: null })],
    "toBlock left out": [logs({ fromBlock: "0x1" }), logs({ fromBlock: "0x1", toBlock: "latest" })],
    "no data, empty data": [call({ to: a }), call({ to: a, data: "0x" })],
    "input, data": [call({ to: a, data: "0x01" }), call({ to: a, input: "0x01" })],
    "empty data, a zero": [call({ to: a, data: "0x" }), call({ to: a, data: "0x0" })],
    "data with a zero in front": [call({ to: a, data: "0x01" }), call({ to: a, data: "0x0001" })],
    "order of the access list": [
      call({ accessList: [{ address: a, storageKeys: [A, B] }] }),
      call({ accessList: [{ address: a, storageKeys: [B, A] }] })
    ],
    "order of addresses": [logs({ address: [a, b] }), logs({ address: [b, a] })],
    "one address, a list of it": [logs({ address: a }), logs({ address: [a] })],
    "a block that must be canonical": [
      ask("eth_getBalance", a, { blockHash: A }),
      ask("eth_getBalance", a, { blockHash: A, requireCanonical: true })
    ],
    "a hash, a number of so many digits": [
      ask("eth_getBalance", a, `0x00${"a".repeat(62)}`),
      ask("eth_getBalance", a, `0x${"a".repeat(62)}`)
    ],
    "the latest, left out": [ask("eth_getBalance", a, "latest"), ask("eth_getBalance", a)],
    "overrides left out": [call({ to: a }), call({ to: a }, {})],
    "hydrated, not": [ask("eth_getBlockByNumber", "0x1", true), ask("eth_getBlockByNumber", "0x1", false)],
    "two numbers, one": [ask("vendor_get", 1, 2), ask("vendor_get", 12)],
    "a slot as it is repeated in a proof": [
      ask("eth_getProof", a, ["0x1"], "0x1"),
      ask("eth_getProof", a, [`0x${"1".padStart(64, "0")}`], "0x1")
    ],
    "case in a method that is not known": [ask("vendor_get", "0xAB"), ask("vendor_get", "0xab")]
  }
  for (const [name, [one, other]] of Object.entries(different)) {
    it(`${name}: different`, () => assert.notStrictEqual(key(one), key(other)))
  }

  const same: Readonly<Record<string, readonly [JsonRpc.Request, JsonRpc.Request]>> = {
    "an address in mixed case": [ask("eth_getBalance", a, "latest"), ask("eth_getBalance", a.toLowerCase(), "latest")],
    "a number with zeros in front": [ask("eth_getBalance", a, "0x0A"), ask("eth_getBalance", a, "0xa")],
    "a slot, short and long": [ask("eth_getStorageAt", a, "0x0"), ask("eth_getStorageAt", a, `0x${"0".repeat(64)}`)],
    "names in another order": [call({ to: a, data: "0x" }), call({ data: "0x", to: a })],
    "what is undefined, left out": [call({ to: a, from: undefined }), call({ to: a })],
    "undefined in a list, null": [ask("vendor_get", undefined), ask("vendor_get", null)],
    "an override's address in mixed case": [call({}, { [a]: {} }), call({}, { [a.toLowerCase()]: {} })],
    "names of a method that is not known": [ask("vendor_get", { a: 1, b: [2] }), ask("vendor_get", { b: [2], a: 1 })],
    "what has a JSON form of its own": [ask("vendor_get", new Date(0)), ask("vendor_get", new Date(0).toJSON())]
  }
  for (const [name, [one, other]] of Object.entries(same)) {
    it(`${name}: the same`, () => assert.strictEqual(key(one), key(other)))
  }

  it("no key without a JSON form, or where one thing has two names", () => {
    const circle: Array<unknown> = []
    circle.push(circle)
    for (const odd of [1n, circle]) {
      assert.isUndefined(key(ask("vendor_get", odd)))
      assert.isUndefined(key(ask("eth_call", { data: odd })))
    }
    assert.isUndefined(key(call({}, { [a]: {}, [a.toLowerCase()]: {} })))
  })
})
