import { assert, describe, it } from "@effect/vitest"
import { Call, JsonRpc, Outcome } from "@hawser/core"
import { Http, Multicall } from "@hawser/rpc"
import { Anvil, Interruption } from "@hawser/testkit"
import { Context, Data, Effect, Exit, Fiber, Layer, Scope } from "effect"
import * as fc from "fast-check"
import { TestClock } from "effect/testing"
import { createRequire } from "node:module"
import { decodeFunctionData, encodeFunctionData, encodeFunctionResult, erc20Abi, type Hex, multicall3Abi } from "viem"
import { Absence, decode, encode, partOf } from "../src/internal/multicall.ts"
import { forgetAfter } from "../src/internal/batchLimit.ts"
import { refusal } from "./support/refusal.ts"

const contract = "0xcA11bde05977b3631167028862bE2a173976CA11"

const target = (i: number): Hex => `0x${i.toString(16).padStart(40, "0")}`

const call = (data: string, block: unknown = "latest", more: object = {}) =>
  JsonRpc.makeRequest("eth_call", [{ to: target(1), data, ...more }, block])

const hex = (max: number) =>
  fc.uint8Array({ maxLength: max }).map((bytes): Hex => `0x${Buffer.from(bytes).toString("hex")}`)

describe("the words of the contract", () => {
  it("are written as viem writes them", () => {
    const part = fc.record({ to: fc.integer({ min: 0 }).map(target), data: hex(100) })
    fc.assert(
      fc.property(fc.array(part, { maxLength: 20 }), (parts) => {
        const calls = parts.map(({ data, to }) => ({ target: to, allowFailure: true, callData: data }))
        assert.strictEqual(
          encode(parts),
          encodeFunctionData({ abi: multicall3Abi, functionName: "aggregate3", args: [calls] })
        )
      })
    )
  })

  it("are read as viem reads them", () => {
    const item = fc.record({ success: fc.boolean(), returnData: hex(100) })
    fc.assert(
      fc.property(fc.array(item, { minLength: 1, maxLength: 20 }), (items) => {
        const text = encodeFunctionResult({ abi: multicall3Abi, functionName: "aggregate3", result: items })
        assert.deepStrictEqual(
          decode(text, items.length),
          items.map(({ returnData, success }) => (success ? returnData : undefined))
        )
        assert.isUndefined(decode(text, items.length + 1))
      })
    )
  })

  it("are nothing if they are not whole, or not that", () => {
    const result = [
      { success: true, returnData: "0x1234" as Hex },
      { success: false, returnData: "0x" as Hex }
    ]
    const text = encodeFunctionResult({ abi: multicall3Abi, functionName: "aggregate3", result })
    for (const junk of [undefined, null, 7, {}, "", "0x", "0x1", "zz", text.slice(2), text.slice(0, -64), text + "0"]) {
      assert.isUndefined(decode(junk, 2))
    }
    fc.assert(
      fc.property(fc.nat(text.length - 3), fc.constantFrom("f", "0", "7"), hex(300), (at, digit, junk) => {
        const changed = text.slice(0, at + 2) + digit + text.slice(at + 3)
        const [first] = decode(changed, 2) ?? []
        if (changed === text) assert.strictEqual(first, "0x1234")
        decode(junk, 2)
      }),
      { numRuns: 500 }
    )
  })
})

describe("a call that others may share a request with", () => {
  it("has an address, data and a block, and nothing else", () => {
    assert.deepInclude(partOf(call("0x12")), { to: target(1), data: "0x12", key: "latest" })
    assert.deepInclude(partOf(JsonRpc.makeRequest("eth_call", [{ to: target(1), input: "0x12" }])), { key: "latest" })
    assert.isDefined(partOf(call("0x12", { blockHash: "0xab" }, { from: undefined, input: "0x12" })))
    const others = [
      call("0x12", "latest", { from: target(2) }),
      call("0x12", "latest", { value: "0x0" }),
      call("0x12", "latest", { gas: "0x1" }),
      call("0x12", "latest", { input: "0x13" }),
      call("0x123"),
      call("12"),
      call("0x12", null),
      call("0x12", 5),
      JsonRpc.makeRequest("eth_call", [{ data: "0x12" }, "latest"]),
      JsonRpc.makeRequest("eth_call", [{ to: target(1) }, "latest"]),
      JsonRpc.makeRequest("eth_call", [{ to: "0x1", data: "0x" }, "latest"]),
      JsonRpc.makeRequest("eth_call", [{ to: target(1), data: "0x" }, "latest", {}]),
      JsonRpc.makeRequest("eth_call", [null]),
      JsonRpc.makeRequest("eth_call", []),
      JsonRpc.makeRequest("eth_estimateGas", [{ to: target(1), data: "0x12" }])
    ]
    for (const request of others) assert.isUndefined(partOf(request), JSON.stringify(request.params))
  })
})

describe("where the contract is missing", () => {
  it("is remembered for that block and all before it, or for hashes, for a while", () => {
    const absence = new Absence()
    const at = (block: unknown, now = 0) => absence.at(block, () => now)
    assert.isFalse(at("latest"))
    absence.note("0x10", 0)
    for (const block of ["0xf", "0x10", "earliest", { blockNumber: "0x1" }]) assert.isTrue(at(block))
    for (const block of ["0x11", "latest", "safe", { blockHash: "0x1" }]) assert.isFalse(at(block))
    absence.note({ blockHash: "0xab" }, 5)
    assert.isTrue(at({ blockHash: "0xcd" }))
    assert.isFalse(at("latest"))
    absence.note("latest", 5)
    assert.isTrue(at("0xffffff"))
    assert.isTrue(at("pending", 4 + forgetAfter))
    assert.isFalse(at("pending", 5 + forgetAfter))
    assert.isFalse(at("0x1"))
  })
})

class Down extends Data.TaggedError("Down")<{}> {}

const reverted = (data: string) =>
  new JsonRpc.Rejected({
    upstream: "node",
    code: 3,
    message: "execution reverted",
    data,
    kind: "revert",
    [Outcome.TypeId]: Outcome.verdict({ counts: "success", again: "nowhere" })
  })

type Failing = Down | JsonRpc.Rejected

/** A node: calls whose data begins with `0xff` revert, others give their data and block back. */
const node = (
  options: {
    readonly delay?: number
    readonly aggregate?: (answer: Effect.Effect<unknown, Failing>) => Effect.Effect<unknown, Failing>
  } = {}
) => {
  const asked: Array<JsonRpc.Request> = []
  const counts = { running: 0, calls: [] as Array<Call.Call | undefined> }
  const alone = (data: string, block: unknown): Effect.Effect<string, Failing> =>
    data.startsWith("0xff")
      ? Effect.fail(reverted(data))
      : Effect.succeed(data + Buffer.from(JSON.stringify(block)).toString("hex"))
  const answer = (request: JsonRpc.Request): Effect.Effect<unknown, Failing> => {
    const [{ data, input, to }, block = "latest"] = request.params as [any, unknown]
    if (to !== contract) return alone(data ?? input, block)
    const { args } = decodeFunctionData({ abi: multicall3Abi, data })
    const aggregated = Effect.map(
      Effect.forEach(args[0] as ReadonlyArray<{ readonly callData: string }>, ({ callData }) =>
        Effect.exit(alone(callData, block))
      ),
      (exits) =>
        encodeFunctionResult({
          abi: multicall3Abi,
          functionName: "aggregate3",
          result: exits.map((exit) => ({
            success: Exit.isSuccess(exit),
            returnData: (Exit.isSuccess(exit) ? exit.value : "0x") as Hex
          }))
        })
    )
    return options.aggregate?.(aggregated) ?? aggregated
  }
  const service: JsonRpc.Service<Failing> = {
    name: "node",
    request: (request) =>
      Effect.withFiber((fiber) =>
        Outcome.guard(
          Effect.suspend(() => {
            asked.push(request)
            counts.calls.push(fiber.getRef(Call.Current))
            return Effect.andThen(
              options.delay === undefined ? Effect.void : Effect.sleep(options.delay),
              answer(request)
            )
          }),
          () => {
            counts.running++
            return counts
          },
          () => void counts.running--
        )
      ),
    inspect: () => ({ name: "node" })
  }
  return { service, asked, counts, aggregates: () => asked.filter(({ params }) => (params[0] as any).to === contract) }
}

const merging = (below: JsonRpc.Service<Failing>, options?: Multicall.Options) =>
  Effect.map(Layer.build(Layer.succeed(JsonRpc.client<Failing>())(below).pipe(Multicall.layer(options))), (context) => {
    const client = Context.get(context, JsonRpc.client<Failing>())
    return { client, shown: () => client.inspect()["multicall"] as Multicall.Inspection }
  })

const all = <A, E>(effects: ReadonlyArray<Effect.Effect<A, E>>) =>
  Effect.forEach(effects, Effect.exit, { concurrency: "unbounded" })

const byte = (i: number) => `0x${i.toString(16).padStart(4, "0")}`

const answerTo = (data: string, block: unknown = "latest") =>
  Exit.succeed(data + Buffer.from(JSON.stringify(block)).toString("hex"))

describe("calls at the same time", () => {
  it.effect("go as one for each block, and each gets its own answer", () =>
    Effect.gen(function* () {
      const { aggregates, asked, service } = node()
      const { client, shown } = yield* merging(service)
      const blocks = ["latest", "0x10", { blockHash: "0xab" }]
      const requests = Array.from({ length: 30 }, (_, i) => call(byte(i), blocks[i % 3]))
      const exits = yield* all(requests.map(client.request))
      exits.forEach((exit, i) => assert.deepStrictEqual(exit, answerTo(byte(i), blocks[i % 3])))
      assert.strictEqual(asked.length, 3)
      assert.deepStrictEqual(
        aggregates().map(({ params }) => params[1]),
        blocks
      )
      assert.deepStrictEqual(shown(), { size: 100, aggregates: 3, merged: 30, alone: 0, absent: 0 })
    })
  )

  it.effect("go as several if they are many or long", () =>
    Effect.gen(function* () {
      const { asked, service } = node()
      const { client } = yield* merging(service, { size: 4, bytes: 100 })
      yield* all(Array.from({ length: 10 }, (_, i) => client.request(call(byte(i)))))
      assert.strictEqual(asked.length, 3)
      yield* all(Array.from({ length: 6 }, (_, i) => client.request(call(byte(i).padEnd(82, "0")))))
      assert.strictEqual(asked.length, 6)
      yield* all(Array.from({ length: 2 }, (_, i) => client.request(call(byte(i).padEnd(204, "0")))))
      assert.strictEqual(asked.length, 8)
    })
  )

  it.effect("stay alone if they are alone, particular, or not wanted", () =>
    Effect.gen(function* () {
      const { aggregates, service } = node()
      const { client } = yield* merging(service, { only: ({ params }) => (params[0] as any).data !== "0x00" })
      const one = client.request(call("0x01"))
      yield* all([one])
      yield* all([one, client.request(call("0x02", "latest", { from: target(3) }))])
      yield* all([one, Effect.provideService(one, Call.Sticky, "x"), Effect.provideService(one, Call.Exclude, ["a"])])
      yield* all([one, Effect.provideService(one, Call.Insist, "wait"), client.request(call("0x00"))])
      assert.strictEqual(aggregates().length, 0)
    })
  )

  it.effect("that revert are asked again alone, and answer in the node's words", () =>
    Effect.gen(function* () {
      const { asked, service } = node()
      const { client, shown } = yield* merging(service)
      const exits = yield* all([call("0x01"), call("0xff01"), call("0x02"), call("0xff02")].map(client.request))
      assert.deepStrictEqual([exits[0], exits[2]], [answerTo("0x01"), answerTo("0x02")])
      assert.deepInclude(yield* Effect.flip(exits[1]!), { _tag: "Rejected", data: "0xff01" })
      assert.deepInclude(yield* Effect.flip(exits[3]!), { _tag: "Rejected", data: "0xff02" })
      assert.strictEqual(asked.length, 3)
      assert.strictEqual(shown().alone, 2)
      assert.strictEqual(shown().size, 100)
    })
  )

  it.effect("are asked alone where there is no contract, and are not merged there for ten minutes", () =>
    Effect.gen(function* () {
      const { aggregates, service } = node({ aggregate: () => Effect.succeed("0x") })
      const { client, shown } = yield* merging(service)
      const both = () => all([call("0x01", "0x10"), call("0x02", "0x10")].map(client.request))
      assert.deepStrictEqual(yield* both(), [answerTo("0x01", "0x10"), answerTo("0x02", "0x10")])
      yield* both()
      assert.deepInclude(shown(), { aggregates: 1, alone: 2, absent: 1 })
      yield* all([call("0x01", "0x11"), call("0x02", "0x11")].map(client.request))
      assert.strictEqual(aggregates().length, 2)
      yield* TestClock.adjust("10 minutes")
      yield* both()
      assert.strictEqual(aggregates().length, 3)
    })
  )

  for (const [name, aggregate] of Object.entries({
    fails: () => Effect.fail(new Down()),
    "is rejected": () => Effect.fail(reverted("0x")),
    "gives junk": () => Effect.succeed("0x1234"),
    "gives no text": () => Effect.succeed(null),
    dies: () => Effect.die("bug")
  })) {
    it.effect(`are asked alone if the shared call ${name}, and fewer are merged then`, () =>
      Effect.gen(function* () {
        const { service } = node({ aggregate })
        const { client, shown } = yield* merging(service)
        const requests = Array.from({ length: 8 }, (_, i) => call(byte(i)))
        const exits = yield* all(requests.map(client.request))
        exits.forEach((exit, i) => assert.deepStrictEqual(exit, answerTo(byte(i))))
        assert.deepStrictEqual(shown(), { size: 4, aggregates: 1, merged: 8, alone: 8, absent: 0 })
      })
    )
  }

  it("each gets what it would get alone, whatever comes together", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            data: hex(6),
            block: fc.constantFrom("latest", "0x1", "0x2", { blockHash: "0xab" }, undefined),
            from: fc.option(fc.constant(target(9)), { nil: undefined, freq: 5 }),
            key: fc.constantFrom("data", "input")
          }),
          { maxLength: 30, size: "max" }
        ),
        fc.constantFrom("healthy", "down", "absent"),
        (calls, state) => {
          const { asked, service } = node(
            state === "healthy"
              ? {}
              : { aggregate: () => (state === "down" ? Effect.fail(new Down()) : Effect.succeed("0x")) }
          )
          const plain = node().service
          return Effect.runPromise(
            Effect.scoped(
              Effect.gen(function* () {
                const { client } = yield* merging(service, { size: 5, bytes: 20 })
                const requests = calls.map(({ block, data, from, key }) =>
                  JsonRpc.makeRequest("eth_call", [
                    { to: target(1), [key]: data, ...(from === undefined ? {} : { from }) },
                    ...(block === undefined ? [] : [block])
                  ])
                )
                const got = yield* all(requests.map(client.request))
                const wanted = yield* all(requests.map(plain.request))
                got.forEach((exit, i) => assert.strictEqual(JSON.stringify(exit), JSON.stringify(wanted[i])))
                assert.isAtMost(asked.length, requests.length * 1.5)
              })
            )
          )
        }
      ),
      { numRuns: 100 }
    ))
})

describe("a caller", () => {
  it.effect("may leave; the last one ends the shared call", () =>
    Effect.gen(function* () {
      const { counts, service } = node({ delay: 1_000 })
      const { client } = yield* merging(service)
      const fibers = yield* Effect.forEach([1, 2, 3], (i) =>
        Effect.forkChild(client.request(call(byte(i))), { startImmediately: true })
      )
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(counts.running, 1)
      yield* Fiber.interrupt(fibers[0]!)
      yield* Fiber.interrupt(fibers[1]!)
      assert.strictEqual(counts.running, 1)
      yield* Fiber.interrupt(fibers[2]!)
      assert.strictEqual(counts.running, 0)
    })
  )

  it.effect("who leaves before it goes is not in it", () =>
    Effect.gen(function* () {
      const { asked, service } = node()
      const { client, shown } = yield* merging(service)
      const fibers = yield* Effect.forEach([1, 2, 3, 4], (i) =>
        Effect.forkChild(client.request(call(byte(i))), { startImmediately: true })
      )
      yield* Fiber.interrupt(fibers[1]!)
      yield* Fiber.awaitAll(fibers)
      assert.strictEqual(shown().merged, 3)
      assert.strictEqual(asked.length, 1)
    })
  )

  it.effect("keeps its deadline and attempts: the shared call has its own, and lasts as long as the longest", () =>
    Effect.gen(function* () {
      const { counts, service } = node()
      const { client } = yield* merging(service)
      const calls = [100, 300].map((deadline) => Object.assign(new Call.Call(), { deadline, attempts: 1 }))
      yield* all(calls.map((own, i) => Effect.provideService(client.request(call(byte(i))), Call.Current, own)))
      const [shared] = counts.calls
      assert.notInclude(calls, shared!)
      assert.deepInclude(shared, { deadline: 300, attempts: undefined })
      assert.deepStrictEqual(
        calls.map(({ attempts, deadline }) => [deadline, attempts]),
        [
          [100, 1],
          [300, 1]
        ]
      )
    })
  )

  it.effect("is told what the shared call learned of upstreams", () =>
    Effect.gen(function* () {
      const learning: JsonRpc.Service<never> = {
        name: "node",
        request: () =>
          Call.use((call) => {
            Call.fail(call, "a", "broken")
            call.recorder?.add(0, { step: "answer", upstream: "b", outcome: "success" })
            return Effect.succeed("0x")
          }),
        inspect: () => ({ name: "node" })
      }
      const { client } = yield* merging(learning)
      const own = new Call.Call()
      const [exit] = yield* all([
        JsonRpc.explain(client.request(call("0x01"))),
        Effect.provideService(client.request(call("0x02")), Call.Current, own) as Effect.Effect<never>
      ])
      const { report } = yield* exit!
      assert.strictEqual(report.answeredBy, "b")
      assert.deepStrictEqual(Call.failures(own), [{ upstream: "a", error: "broken" }])
    })
  )

  it.effect("is interrupted with the scope; who comes later is asked alone", () =>
    Effect.gen(function* () {
      const { aggregates, counts, service } = node({ delay: 1_000 })
      const scope = yield* Scope.make()
      const { client } = yield* Scope.provide(merging(service), scope)
      const fibers = yield* Effect.forEach([1, 2], (i) =>
        Effect.forkChild(client.request(call(byte(i))), { startImmediately: true })
      )
      yield* TestClock.adjust("500 millis")
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(counts.running, 0)
      for (const fiber of fibers) assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      const late = yield* Effect.forkChild(all([1, 2].map((i) => client.request(call(byte(i))))))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(late), [answerTo(byte(1)), answerTo(byte(2))])
      assert.strictEqual(aggregates().length, 1)
    })
  )

  it.effect("leaves nothing running, wherever it is interrupted", () =>
    Interruption.everywhere(
      Effect.gen(function* () {
        const { counts, service } = node({ delay: 20 })
        const { client, shown } = yield* merging(service)
        const three = [call("0x01"), call("0xff"), call("0x02")].map(client.request)
        return {
          run: Effect.all(three.map(Effect.exit), { concurrency: "unbounded" }),
          check: () => {
            assert.strictEqual(counts.running, 0)
            assert.isAtMost(shown().aggregates, 1)
          }
        }
      })
    )
  )
})

describe("options", () => {
  it("are refused by name", () => {
    const refused = (options: unknown) => refusal(() => Multicall.layer(options as Multicall.Options))
    assert.strictEqual(refused(undefined), "taken")
    assert.match(refused({ address: "0x12" }), /^Multicall\.address takes an address/)
    assert.match(refused({ size: 1 }), /^Multicall\.size takes a whole number of at least 2/)
    assert.match(refused({ bytes: 0 }), /^Multicall\.bytes/)
    assert.match(refused({ only: 1 }), /^Multicall\.only takes a function/)
    assert.match(refused({ batchSize: 1 }), /^Multicall\.batchSize takes no value/)
  })
})

/** The contract's creation code, which viem has but does not export. */
const creationCode = (): string => {
  const require = createRequire(import.meta.url)
  const { multicall3Bytecode } = require(require.resolve("viem").replace(/index\.js$/, "constants/contracts.js")) as {
    readonly multicall3Bytecode: string
  }
  return multicall3Bytecode
}

describe.skipIf(Anvil.binary === undefined)("on a real chain", () => {
  // Small contracts: give back the calldata, revert with it, give the block's number, give who calls.
  const [echo, reverter, height, caller] = [target(0xe001), target(0xe002), target(0xe003), target(0xe004)]
  const codes = {
    [echo]: "0x365f5f37365ff3",
    [reverter]: "0x365f5f37365ffd",
    [height]: "0x435f5260205ff3",
    [caller]: "0x335f5260205ff3"
  }

  it.live(
    "each call answers as it does alone, before the contract is there and after",
    () =>
      Effect.gen(function* () {
        const anvil = yield* Anvil.make()
        for (const [address, code] of Object.entries(codes)) yield* anvil.rpc("anvil_setCode", [address, code])
        yield* anvil.rpc("anvil_mine", ["0x3"])
        // A call without an address runs creation code, and its answer is the contract's.
        const code = yield* anvil.rpc("eth_call", [{ data: creationCode() }])
        yield* anvil.rpc("anvil_setCode", [contract, code])
        yield* anvil.rpc("anvil_mine", ["0x2"])
        const from = target(0xf)

        const upstream = yield* Http.make({ url: anvil.url, name: "anvil" })
        const { client, shown } = yield* merging(upstream as unknown as JsonRpc.Service<Failing>)
        const head = (yield* anvil.rpc("eth_getBlockByNumber", ["latest", false])) as { readonly hash: string }
        const balance = encodeFunctionData({ abi: erc20Abi, functionName: "balanceOf", args: [target(7)] })
        const requests = ["latest", { blockHash: head.hash }, "0x1", "0x5"].flatMap((block) =>
          [
            { to: echo, data: balance },
            { to: echo, data: "0x" },
            { to: reverter, data: "0x1234567890" },
            { to: height, data: "0x00" },
            { to: target(0xeeee), data: balance },
            { to: "0x0000000000000000000000000000000000000004", input: "0xabcd" },
            { to: caller, data: "0x", from }
          ].map((call) => JsonRpc.makeRequest("eth_call", [call, block]))
        )
        const alone = yield* all(requests.map(upstream.request))
        const merged = yield* all(requests.map(client.request))
        merged.forEach((exit, i) =>
          assert.strictEqual(JSON.stringify(exit), JSON.stringify(alone[i]), JSON.stringify(requests[i]!.params))
        )
        assert.deepInclude(shown(), { aggregates: 4, merged: 24 })
        assert.isAtLeast(shown().absent, 1)

        // What is not promised: who calls is the contract.
        const callers = yield* all(
          [1, 2].map(() => client.request(JsonRpc.makeRequest("eth_call", [{ to: caller, data: "0x" }])))
        )
        for (const exit of callers)
          assert.deepStrictEqual(exit, Exit.succeed(`0x${contract.slice(2).toLowerCase().padStart(64, "0")}`))
      }),
    20_000
  )
})
