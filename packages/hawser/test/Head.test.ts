import { assert, describe, it } from "@effect/vitest"
import { Interruption } from "@hawser/testkit"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { Call, type Head, JsonRpc } from "hawser"

import { hashOf, hex, type Node, now, pool, responseError, run } from "./support/lagging.ts"

/** Asks until the head is told. */
const until = <E>(blockNumber: Effect.Effect<number, E>, head: number) =>
  Effect.gen(function* () {
    for (let i = 0; value(yield* now(blockNumber)) < head; i++) {
      assert.isBelow(i, 1_000)
      yield* TestClock.adjust("1 second")
    }
  })

const value = <A, E>(exit: Exit.Exit<A, E>): A => {
  if (Exit.isFailure(exit)) assert.fail(String(exit.cause))
  return exit.value
}

const causes = (exit: Exit.Exit<unknown, unknown>): ReadonlyArray<string> => {
  const error = Exit.isFailure(exit) ? exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error : undefined
  return error instanceof Call.NoAnswer ? error.causes.map(({ error }) => (error as { _tag: string })._tag) : []
}

const receiptOf = (number: number) => ["eth_getTransactionReceipt", hashOf(0xabc, number)] as const

describe("one upstream", () => {
  it.effect("is asked what it is asked, and nothing else", () =>
    Effect.gen(function* () {
      const { ask, blockNumber, nodes } = yield* pool(1)
      const [node] = nodes
      for (let i = 0; i < 5; i++) {
        value(yield* now(ask("eth_call", {}, "latest")))
        value(yield* now(blockNumber))
        value(yield* now(ask("eth_getBlockByNumber", "latest", false)))
        assert.isNull(value(yield* now(ask(...receiptOf(2_000)))))
        yield* TestClock.adjust("1 minute")
      }
      assert.strictEqual(node!.asked.length, 21)
    })
  )

  it.effect("that goes back does not take the head back", () =>
    Effect.gen(function* () {
      const { blockNumber, nodes } = yield* pool(1)
      assert.strictEqual(value(yield* now(blockNumber)), 1_000)
      nodes[0]!.claims = 997
      assert.strictEqual(value(yield* now(blockNumber)), 1_000)
    })
  )
})

describe("the head that is told", () => {
  it.effect("is at least the floor, even when only a lagging upstream is left", () =>
    Effect.gen(function* () {
      const { blockNumber, nodes } = yield* pool(2)
      nodes[0]!.startBehind(9)
      yield* until(blockNumber, 1_000)
      nodes[1]!.down = true
      for (let i = 0; i < 20; i++) {
        assert.strictEqual(value(yield* run(blockNumber)), 1_000)
        yield* TestClock.adjust("1 second")
      }
    })
  )

  it.effect("is new at once when all have it, although nobody was asked meanwhile", () =>
    Effect.gen(function* () {
      const { ask, blockNumber, ledger } = yield* pool(3)
      value(yield* now(blockNumber))
      ledger.head += 500
      assert.strictEqual(value(yield* now(blockNumber)), 1_500)
      ledger.head += 500
      assert.strictEqual(Number((value(yield* now(ask("eth_getBlockByNumber", "latest", false))) as any).number), 2_000)
    })
  )

  for (const claim of [1e12, 1e8, 1_400]) {
    it.effect(`is not what one upstream alone claims (${claim}), and it excludes nobody`, () =>
      Effect.gen(function* () {
        const { ask, blockNumber, head, ledger, nodes } = yield* pool(3)
        // Who is asked first is nobody's choice: the liar begins when the others are known.
        for (let i = 0; i < 30; i++) value(yield* now(blockNumber))
        nodes[2]!.claims = claim
        for (let i = 0; i < 60; i++) {
          const told = value(yield* run(blockNumber))
          assert.isAtMost(told, ledger.head)
          const { number } = value(yield* run(ask("eth_getBlockByNumber", "latest", false))) as { number: string }
          assert.isAtMost(Number(number), ledger.head)
          value(yield* run(ask("eth_call", {}, "latest")))
          ledger.head++
          yield* TestClock.adjust("1 second")
        }
        assert.isAtMost(head.floor()!, ledger.head)
        for (const node of nodes.slice(0, 2)) assert.isAbove(node.count("eth_call"), 5)
      })
    )
  }

  it.effect("is not that of a chain that cannot be, even at first", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 10; i++) {
        const { blockNumber, nodes } = yield* pool(2)
        nodes[1]!.claims = 1e12
        assert.strictEqual(value(yield* now(blockNumber)), 1_000)
      }
    })
  )

  it.effect("junk is a failed upstream", () =>
    Effect.gen(function* () {
      const { blockNumber, nodes } = yield* pool(2)
      nodes[0]!.answer = ({ method }) => Effect.succeed(method === "eth_chainId" ? "0x1" : "soon")
      for (let i = 0; i < 10; i++) assert.strictEqual(value(yield* now(blockNumber)), 1_000)
      nodes[1]!.down = true
      assert.sameMembers(causes(yield* run(blockNumber)) as Array<string>, ["TransportError", "TransportError"])
    })
  )

  it.effect("falls with a reorganisation that is seen by hash", () =>
    Effect.gen(function* () {
      const { ask, blockNumber, head, ledger, nodes } = yield* pool(2)
      const changes: Array<Head.Change> = []
      head.on((change) => changes.push(change))
      const latest = Effect.map(ask("eth_getBlockByNumber", "latest", false), (block) => Number((block as any).number))
      for (let i = 0; i < 10; i++) {
        value(yield* now(latest))
        ledger.head++
      }
      const before = value(yield* now(latest))
      ledger.reorg(before - 4)
      ledger.head = before - 2
      for (const node of nodes) node.startBehind(0)
      // Whoever is asked first is contradicted by what is known of the other.
      for (let i = 0; i < 10; i++) {
        yield* run(latest)
        yield* TestClock.adjust("1 second")
      }
      assert.strictEqual(value(yield* now(blockNumber)), before - 2)
      const reorgs = changes.flatMap((change) => (change.type === "reorg" ? [change.from] : []))
      assert.strictEqual(Math.min(...reorgs), before - 4)
      for (let n = before - 4; n <= before - 2; n++) assert.strictEqual(head.hashAt(n), ledger.hash(n))
    })
  )
})

describe("a read of the head", () => {
  const behind = (lag?: "wait" | "serve") =>
    Effect.gen(function* () {
      const world = yield* pool(2, { lag })
      const [a, b] = world.nodes
      a!.startBehind(2)
      yield* until(world.blockNumber, 1_000)
      b!.down = true
      return world
    })

  it.effect("goes to those who have what was told; the others are asked for their head once per block time", () =>
    Effect.gen(function* () {
      const { ask, blockNumber, ledger, nodes } = yield* pool(2)
      value(yield* now(blockNumber))
      nodes[0]!.lag = 1
      for (let i = 0; i < 10; i++) {
        ledger.head++
        const told = value(yield* now(blockNumber))
        for (let j = 0; j < 10; j++) assert.isAtLeast(Number(value(yield* now(ask("eth_call", {}, "latest")))), told)
        yield* TestClock.adjust("1 second")
      }
      for (const node of nodes) assert.isAtMost(node.count("eth_getBlockByNumber"), 12)
    })
  )

  it.effect("goes in the same round to one that had less a moment ago, where those who had it fail", () =>
    Effect.gen(function* () {
      const { ask, blockNumber, ledger, nodes } = yield* pool(2, { blockTime: "30 seconds" })
      const [a, b] = nodes
      yield* until(blockNumber, 1_000)
      a!.lag = 1
      ledger.head++
      yield* until(blockNumber, 1_001)
      for (let i = 0; i < 10; i++) assert.strictEqual(Number(value(yield* now(ask("eth_call", {}, "latest")))), 1_001)
      a!.lag = 0
      b!.answer = () => Effect.fail(responseError("b", "transient"))
      const looks = a!.count("eth_getBlockByNumber")
      const { report, value: answer } = value(yield* run(JsonRpc.explain(ask("eth_call", {}, "latest")), 10))
      assert.strictEqual(Number(answer), 1_001)
      assert.isFalse(report.steps.some(({ step }) => step === "retry"))
      assert.strictEqual(a!.count("eth_getBlockByNumber"), looks + 1)
    })
  )

  it.effect("waits for an upstream to get it", () =>
    Effect.gen(function* () {
      const { ask, nodes } = yield* behind()
      const fiber = yield* Effect.forkChild(ask("eth_call", {}, "latest"), { startImmediately: true })
      yield* TestClock.adjust("400 millis")
      assert.isUndefined(fiber.pollUnsafe())
      nodes[0]!.lag = 0
      yield* TestClock.adjust("200 millis")
      assert.strictEqual(Number(yield* Fiber.join(fiber)), 1_000)
    })
  )

  it.effect("and fails as behind after a block time", () =>
    Effect.gen(function* () {
      const { ask } = yield* behind()
      const started = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
      const exit = yield* run(ask("eth_call", {}, "latest"), 10)
      const elapsed = (yield* Effect.clockWith((clock) => clock.currentTimeMillis)) - started
      assert.include(causes(exit), "Behind")
      assert.isAbove(elapsed, 900)
      // The rest are the retries of the upstream that is down.
      assert.isBelow(elapsed, 12_000)
    })
  )

  it.effect("or is served, if the user chose so, and says so", () =>
    Effect.gen(function* () {
      const { ask } = yield* behind("serve")
      const { report, value: answer } = value(yield* run(JsonRpc.explain(ask("eth_call", {}, "latest")), 10))
      assert.strictEqual(Number(answer), 998)
      assert.isTrue(report.stale)
      assert.isTrue(report.steps.some((step) => step.step === "wait" && step.why === "for block 1000"))
    })
  )

  it.effect("does not wait beyond half of the time it has", () =>
    Effect.gen(function* () {
      const { ask } = yield* behind("serve")
      const call = new Call.Call()
      const start = yield* Effect.clockWith((clock) => Effect.succeed(Call.now(clock)))
      call.deadline = start + 600
      const answer = yield* run(Effect.provideService(ask("eth_call", {}, "latest"), Call.Current, call), 10)
      assert.strictEqual(Number(value(answer)), 998)
      const end = yield* Effect.clockWith((clock) => Effect.succeed(Call.now(clock)))
      assert.isBelow(end - start, 600)
    })
  )

  it.effect("is served by whichever of those who are behind gets it first", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 10; i++) {
        const { ask, blockNumber, nodes } = yield* pool(3, { blockTime: "8 seconds" })
        for (const node of nodes.slice(0, 2)) node.startBehind(2)
        yield* until(blockNumber, 1_000)
        nodes[2]!.down = true
        // Given up on, so that it is not waited for.
        for (let j = 0; j < 3; j++) yield* run(blockNumber)
        const fiber = yield* Effect.forkChild(ask("eth_call", {}, "latest"), { startImmediately: true })
        yield* TestClock.adjust("2 seconds")
        nodes[i % 2]!.lag = 0
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(Number(yield* Fiber.join(fiber)), 1_000)
      }
    })
  )

  it.effect("waits for an upstream whatever those have that it may not go to", () =>
    Effect.gen(function* () {
      const { ask, blockNumber, nodes } = yield* pool(3, { blockTime: "8 seconds" })
      for (const node of nodes.slice(0, 2)) node.startBehind(2)
      yield* until(blockNumber, 1_000)
      const pinned = Effect.provideService(ask("eth_call", {}, "latest"), Call.Exclude, ["b", "c"])
      const fiber = yield* Effect.forkChild(pinned, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      nodes[1]!.lag = 0
      yield* TestClock.adjust("1 second")
      assert.isUndefined(fiber.pollUnsafe())
      nodes[0]!.lag = 0
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(Number(yield* Fiber.join(fiber)), 1_000)
    })
  )

  it.effect("is asked again where it is known, rather than waited for elsewhere", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 10; i++) {
        const { ask, blockNumber, nodes } = yield* pool(2, { blockTime: "30 seconds" })
        const [a, b] = nodes
        a!.startBehind(2)
        yield* until(blockNumber, 1_000)
        let failures = 0
        b!.answer = () => (++failures <= 1 ? Effect.fail(responseError("b", "transient")) : Effect.succeed("0x3e8"))
        const fiber = yield* Effect.forkChild(ask("eth_call", {}, "latest"), { startImmediately: true })
        yield* TestClock.adjust("1 second")
        assert.strictEqual(Number(yield* Fiber.join(fiber)), 1_000)
      }
    })
  )

  it.effect(
    "leaves nothing behind when it is interrupted, wherever that is",
    () =>
      Effect.gen(function* () {
        const steps = yield* Interruption.everywhere(
          Effect.gen(function* () {
            const { ask, head, nodes } = yield* pool(2, { blockTime: "60 millis" })
            const [a, b] = nodes
            a!.startBehind(2)
            for (const node of nodes) node.latency = 10
            return {
              run: Effect.andThen(
                Effect.all([ask("eth_blockNumber"), ask("eth_blockNumber")], { concurrency: 2 }),
                Effect.suspend(() => {
                  b!.down = true
                  return Effect.exit(
                    Effect.all([ask("eth_call", {}, "latest"), ask(...receiptOf(1_000))], { concurrency: 2 })
                  )
                })
              ),
              check: () => assert.strictEqual((head as any).signal.waiting.size, 0)
            }
          }).pipe(Effect.scoped)
        )
        assert.isAbove(steps, 50)
      }),
    20_000
  )

  it.effect("by number goes to those who have that block, and waits for nobody if it is to come", () =>
    Effect.gen(function* () {
      const { ask, blockNumber, nodes } = yield* pool(2)
      nodes[0]!.startBehind(5)
      yield* until(blockNumber, 1_000)
      for (let i = 0; i < 20; i++) value(yield* now(blockNumber))
      nodes.forEach((node) => (node.asked.length = 0))
      for (let i = 0; i < 20; i++) assert.strictEqual(Number(value(yield* now(ask("eth_call", {}, hex(998))))), 998)
      assert.strictEqual(nodes[0]!.count("eth_call"), 0)
      for (let i = 0; i < 40; i++) assert.isNotNull(value(yield* now(ask("eth_getBlockByNumber", hex(900), false))))
      assert.isAbove(nodes[0]!.count("eth_getBlockByNumber"), 1)
      assert.isNull(value(yield* now(ask("eth_getBlockByNumber", hex(5_000), false))))
    })
  )
})

describe("null", () => {
  it.effect("from an upstream that is behind is not an answer", () =>
    Effect.gen(function* () {
      const { ask, blockNumber, nodes } = yield* pool(3)
      for (const node of nodes.slice(0, 2)) node.startBehind(5)
      yield* until(blockNumber, 1_000)
      for (let i = 0; i < 20; i++) assert.isNotNull(value(yield* now(ask(...receiptOf(998)))))
      for (let i = 0; i < 20; i++) assert.isNotNull(value(yield* now(ask("eth_getBlockByNumber", hex(998), false))))
    })
  )

  it.effect("is the answer when all say so, and when one says so that knows the head", () =>
    Effect.gen(function* () {
      const { ask, blockNumber, nodes } = yield* pool(3)
      assert.isNull(value(yield* now(ask(...receiptOf(1_001)))))
      for (let i = 0; i < 20; i++) value(yield* now(blockNumber))
      nodes.forEach((node) => (node.asked.length = 0))
      assert.isNull(value(yield* now(ask(...receiptOf(1_001)))))
      assert.strictEqual(
        nodes.reduce((sum, { asked }) => sum + asked.length, 0),
        1
      )
      for (const node of nodes) node.claims = 990
      assert.isNull(value(yield* run(ask(...receiptOf(1_001)))))
    })
  )

  it.effect("is no answer while another could know better", () =>
    Effect.gen(function* () {
      for (const lag of ["wait", "serve"] as const) {
        const { ask, blockNumber, nodes } = yield* pool(2, { lag })
        nodes[0]!.startBehind(5)
        yield* until(blockNumber, 1_000)
        nodes[1]!.down = true
        const exit = yield* run(ask(...receiptOf(998)))
        if (lag === "serve") assert.isNull(value(exit))
        else assert.sameMembers(causes(exit) as Array<string>, ["NotFound", "TransportError"])
      }
    })
  )
})

describe("what an upstream cannot do", () => {
  const fussy = (node: Node, refuse: (request: JsonRpc.Request) => ReturnType<typeof responseError> | undefined) => {
    node.answer = (request) => {
      const error = refuse(request)
      if (error !== undefined) return Effect.fail(error)
      return Effect.succeed(
        request.method === "eth_chainId" ? "0x1" : request.method === "eth_blockNumber" ? hex(1_000) : "0x1"
      )
    }
  }

  it.effect("is asked elsewhere for ten minutes, and nobody asks in vain", () =>
    Effect.gen(function* () {
      const { ask, nodes } = yield* pool(2)
      fussy(nodes[0]!, ({ method }) => (method === "trace_block" ? responseError("a", "unsupported") : undefined))
      for (let i = 0; i < 40; i++) value(yield* now(ask("trace_block", "0x1")))
      assert.strictEqual(nodes[0]!.count("trace_block"), 1)
      yield* TestClock.adjust("10 minutes")
      for (let i = 0; i < 40; i++) value(yield* now(ask("trace_block", "0x1")))
      assert.strictEqual(nodes[0]!.count("trace_block"), 2)
    })
  )

  it.effect("is asked all the same where nobody else can answer", () =>
    Effect.gen(function* () {
      const { ask, nodes } = yield* pool(2)
      let broken = true
      for (const node of nodes) fussy(node, () => (broken ? responseError(node.name, "unsupported") : undefined))
      // The chain's check is not about methods.
      for (const node of nodes) {
        const { answer } = node
        node.answer = (request) => (request.method === "eth_chainId" ? Effect.succeed("0x1") : answer!(request))
      }
      assert.sameMembers(causes(yield* run(ask("x_getY"))) as Array<string>, ["ResponseError", "ResponseError"])
      broken = false
      assert.strictEqual(value(yield* now(ask("x_getY"))), "0x1")
      nodes.forEach((node) => (node.asked.length = 0))
      assert.strictEqual(value(yield* now(ask("x_getY"))), "0x1")
    })
  )

  it.effect("old blocks, by method, from what it says and from what it does not have", () =>
    Effect.gen(function* () {
      const { ask, blockNumber, client, nodes } = yield* pool(2)
      for (let i = 0; i < 20; i++) value(yield* now(blockNumber))
      fussy(nodes[0]!, ({ method, params }) => {
        if (method === "eth_call") return Number(params[1]) < 800 ? responseError("a", "missing") : undefined
        return method === "eth_getBalance" && Number(params[1]) < 500
          ? responseError("a", "missing", { earliest: 500 })
          : undefined
      })
      for (let i = 0; i < 40; i++) value(yield* now(ask("eth_call", {}, hex(700))))
      for (let i = 0; i < 40; i++) value(yield* now(ask("eth_getBalance", "0x0", hex(100))))
      assert.strictEqual(nodes[0]!.count("eth_call"), 1)
      assert.strictEqual(nodes[0]!.count("eth_getBalance"), 1)
      for (let i = 0; i < 40; i++) value(yield* now(ask("eth_call", {}, hex(750))))
      assert.strictEqual(nodes[0]!.count("eth_call"), 2)
      for (let i = 0; i < 40; i++) value(yield* now(ask("eth_call", {}, hex(900))))
      assert.isAbove(nodes[0]!.count("eth_call"), 3)
      const shown = (client.inspect()["upstreams"] as ReadonlyArray<any>)[0].head as Head.UpstreamInspection
      assert.deepStrictEqual(shown.earliest, { eth_call: 751, eth_getBalance: 500 })
    })
  )

  it.effect("wide ranges, as it says", () =>
    Effect.gen(function* () {
      const { ask, blockNumber, nodes } = yield* pool(2)
      for (let i = 0; i < 20; i++) value(yield* now(blockNumber))
      fussy(nodes[0]!, ({ method, params }) => {
        if (method !== "eth_getLogs") return undefined
        const { fromBlock, toBlock } = params[0] as { fromBlock: string; toBlock: string }
        return Number(toBlock) - Number(fromBlock) >= 100
          ? responseError("a", "range", { range: { blocks: 100 } })
          : undefined
      })
      const logs = (from: number, to: number) => ask("eth_getLogs", { fromBlock: hex(from), toBlock: hex(to) })
      for (let i = 0; i < 40; i++) value(yield* now(logs(1, 500)))
      assert.strictEqual(nodes[0]!.count("eth_getLogs"), 1)
      for (let i = 0; i < 40; i++) value(yield* now(logs(1, 100)))
      assert.isAbove(nodes[0]!.count("eth_getLogs"), 2)
    })
  )
})

describe("following", () => {
  it.effect("asks for finality while requests pass, once per block time, and not otherwise", () =>
    Effect.gen(function* () {
      const { ask, head, nodes } = yield* pool(1, { track: ["finalized"] })
      const [node] = nodes
      for (let i = 0; i < 100; i++) {
        value(yield* now(ask("eth_call", {}, "latest")))
        yield* TestClock.adjust("100 millis")
      }
      assert.strictEqual(node!.count("eth_getBlockByNumber"), 10)
      assert.strictEqual(head.finalized()?.number, 936)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(node!.count("eth_getBlockByNumber"), 10)
    })
  )

  it.effect("does not hold up the caller, and ends with its layer", () =>
    Effect.gen(function* () {
      const node = yield* Effect.scoped(
        Effect.gen(function* () {
          const { ask, nodes } = yield* pool(1, { track: ["finalized"] })
          const [node] = nodes
          let interrupted = 0
          node!.answer = ({ method }) =>
            method === "eth_getBlockByNumber"
              ? Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted++))
              : Effect.succeed("0x1")
          value(yield* now(ask("eth_call", {}, "latest")))
          assert.strictEqual(interrupted, 0)
          return () => interrupted
        })
      )
      assert.strictEqual(node(), 1)
    })
  )
})

type Command =
  | { readonly do: "tick"; readonly by: number }
  | { readonly do: "mine"; readonly by: number }
  | { readonly do: "lag"; readonly who: number; readonly by: number }
  | { readonly do: "down"; readonly who: number; readonly down: boolean }
  | { readonly do: "latency"; readonly who: number; readonly millis: number }
  | { readonly do: "ask"; readonly what: "number" | "call" | "block" | "receipt"; readonly times: number }
  | { readonly do: "reorg"; readonly depth: number }

const command = (reorgs: boolean): fc.Arbitrary<Command> => {
  const who = fc.nat({ max: 2 })
  const of = <const D extends string, T extends object>(name: D, fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
    fc.record({ do: fc.constant(name), ...fields }) as unknown as fc.Arbitrary<{ readonly do: D } & T>
  return fc.oneof(
    { weight: 4, arbitrary: of("tick", { by: fc.constantFrom(10, 100, 1_000, 4_000) }) },
    { weight: 5, arbitrary: of("mine", { by: fc.constantFrom(1, 1, 1, 2, 7) }) },
    { weight: 4, arbitrary: of("lag", { who, by: fc.nat({ max: 5 }) }) },
    { weight: 2, arbitrary: of("down", { who, down: fc.boolean() }) },
    { weight: 1, arbitrary: of("latency", { who, millis: fc.constantFrom(0, 20, 700) }) },
    {
      weight: 12,
      arbitrary: of("ask", {
        what: fc.constantFrom(
          "number" as const,
          "number" as const,
          "call" as const,
          "block" as const,
          "receipt" as const
        ),
        times: fc.integer({ min: 1, max: 3 })
      })
    },
    ...(reorgs ? [{ weight: 1, arbitrary: of("reorg", { depth: fc.integer({ min: 1, max: 4 }) }) }] : [])
  )
}

describe("reads do not go back in time", () => {
  const story = (size: number, lag: "wait" | "serve", seed: number, commands: ReadonlyArray<Command>) =>
    Effect.gen(function* () {
      const { ask, blockNumber, head, ledger, nodes } = yield* pool(size, { lag }, seed)
      let told = 0
      head.on((change) => {
        // Seen by hash: what was told may be no more.
        if (change.type === "reorg" && change.from <= told) told = 0
      })
      const telling = (number: number) => {
        assert.isAtLeast(number, told)
        told = number
      }
      for (const command of commands) {
        const node = "who" in command ? nodes[command.who % size]! : undefined
        if (command.do === "tick") yield* TestClock.adjust(command.by)
        else if (command.do === "mine") ledger.head += command.by
        else if (command.do === "lag") node!.lag = command.by
        else if (command.do === "down") node!.down = command.down
        else if (command.do === "latency") node!.latency = command.millis
        else if (command.do === "reorg") ledger.reorg(ledger.head - command.depth + 1)
        else if (command.what === "call") {
          const least = head.floor()
          const exits = yield* run(
            Effect.all(
              Array.from({ length: command.times }, () => Effect.exit(ask("eth_call", {}, "latest"))),
              {
                concurrency: "unbounded"
              }
            )
          )
          for (const exit of value(exits)) {
            if (Exit.isFailure(exit)) assert.isNotEmpty(causes(exit))
            else if (size > 1 && lag === "wait" && least !== undefined && told > 0) {
              assert.isAtLeast(Number(exit.value), least)
            }
          }
        } else {
          const asking =
            command.what === "number"
              ? blockNumber
              : Effect.map(
                  command.what === "block"
                    ? ask("eth_getBlockByNumber", "latest", false)
                    : ask(...receiptOf(ledger.head - 1)),
                  (answer) => (command.what === "block" ? Number((answer as any).number) : undefined)
                )
          for (let i = 0; i < command.times; i++) {
            const exit = yield* run(asking)
            if (Exit.isFailure(exit)) assert.isNotEmpty(causes(exit))
            else if (exit.value !== undefined && (size > 1 || command.what === "number")) telling(exit.value)
          }
        }
      }
    }).pipe(Effect.scoped, Effect.provide(TestClock.layer()), Effect.runPromise)

  for (const [size, lag, reorgs] of [
    [1, "wait", false],
    [2, "wait", false],
    [3, "wait", false],
    [3, "serve", false],
    [3, "wait", true]
  ] as const) {
    it(`${size} upstreams, lag: ${lag}${reorgs ? ", with reorganisations" : ""}`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.nat(), fc.array(command(reorgs), { maxLength: 40 }), (seed, commands) =>
          story(size, lag, seed, commands)
        ),
        { numRuns: 60 }
      )
    }, 30_000)
  }
})
