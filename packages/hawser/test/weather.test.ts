// What happens when something goes wrong, as the README tells it: each row of its table is a test, and the numbers in it are
// what the test has measured.
import { assert, describe, it } from "@effect/vitest"
import { Scenario } from "@hawser/testkit"
import { Effect, Exit, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { Call, JsonRpc, Write } from "hawser"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Cost, facing } from "./support/weather.ts"

interface Row<A> {
  readonly when: string
  /** What the program sees, and what it costs. */
  readonly says: (measured: A) => readonly [sees: string, costs: string]
}

const told: Array<readonly [when: string, sees: string, costs: string] | undefined> = []

const row = <A>({ says, when }: Row<A>, test: Effect.Effect<A, unknown, Scope.Scope>): void => {
  const place = told.push(undefined) - 1
  it.effect(when, () => Effect.map(test, (measured) => void (told[place] = [when, ...says(measured)])))
}

const requests = (n: number): string => (n === 1 ? "1 request" : `${n} requests`)

const blocks = (n: number): string => (n === 1 ? "1 block" : `${n} blocks`)

const duration = (millis: number): string => {
  if (millis < 1_000) return `${millis} ms`
  if (millis < 120_000) return `${millis / 1_000} s`
  return `${millis / 60_000} min`
}

const delay = (millis: number): string => (millis === 0 ? "no delay" : duration(millis))

type Cell = Cost<unknown, unknown>

const price = ({ requests: n, time }: Cell): string => `${requests(n)}, ${delay(time)}`

const valueOf = ({ exit }: Cell): unknown => {
  if (Exit.isFailure(exit)) assert.fail(String(exit.cause))
  return exit.value
}

const errorOf = <E>({ exit }: Cost<unknown, E>): E => {
  const reason = Exit.isFailure(exit) ? exit.cause.reasons[0] : undefined
  return reason?._tag === "Fail" ? reason.error : assert.fail(`no error: ${String(exit)}`)
}

const upstreamsOf = ({ causes }: { readonly causes: ReadonlyArray<Call.Failure> }) =>
  causes.map(({ upstream }) => upstream)

type World = Effect.Success<ReturnType<typeof facing>>

/** A read that nobody has asked before. */
const reader = ({ ask }: Pick<World, "ask">) => {
  let account = 0
  return (block = "latest") => ask("eth_getBalance", `0x${(++account).toString(16).padStart(40, "0")}`, block)
}

/** The cost of a call after another has found out. */
const settled = { requests: 1, time: 0 } as const

/** Milliseconds until the last node is asked again, while there is a call in each `step`. */
const spared = ({ cost }: World, call: () => Effect.Effect<unknown, unknown>, step: number) =>
  Effect.gen(function* () {
    for (let passed = 0; ; passed += step) {
      const now = yield* cost(call())
      if (now.sent.at(-1)! > 0) return passed
      assert.deepInclude(now, settled)
      yield* TestClock.adjust(step)
    }
  })

const two = [{}, {}]

/** What becomes of a node that turns callers away. */
const leftAlone = (when: string, scenario: Scenario.Scenario, step: number) =>
  row(
    {
      when,
      says: ({ first, pause }) => [
        "the answer, from another node",
        `${price(first)}; then ${requests(settled.requests)}: the node is left alone for ${duration(pause)}`
      ]
    },
    Effect.gen(function* () {
      const world = yield* facing(two)
      const read = reader(world)
      yield* world.nodes[1]!.play(scenario)
      const first = yield* world.cost(read())
      assert.isString(valueOf(first))
      return { first, pause: yield* spared(world, read, step) }
    })
  )

const failing = [
  Scenario.status(500),
  Scenario.status(403),
  Scenario.status(200),
  Scenario.refuse,
  Scenario.dropMidway,
  Scenario.truncated,
  Scenario.malformed("foreignId"),
  Scenario.malformed("noResult")
]

describe("what happens when", () => {
  row(
    {
      when: "A node fails: an error status, HTML, a connection refused or cut, half a document, a foreign id",
      says: ({ cut, most }) => [
        "the answer, from another node",
        `${price(most)}, and ${cut.requests - most.requests} more where an idle socket is cut; then ${requests(settled.requests)}`
      ]
    },
    Effect.gen(function* () {
      const first = (fault: Scenario.Scenario) =>
        Effect.gen(function* () {
          const world = yield* facing(two)
          const read = reader(world)
          yield* world.nodes[1]!.play(fault)
          const first = yield* world.cost(read())
          assert.isString(valueOf(first))
          assert.strictEqual(first.time, 0)
          for (let i = 0; i < 10; i++) assert.deepInclude(yield* world.cost(read()), settled)
          return first
        })
      const costs = yield* Effect.forEach(failing, first)
      const most = costs.reduce((a, b) => (b.requests > a.requests ? b : a))
      return { most, cut: yield* first(Scenario.drop) }
    })
  )

  leftAlone("A node answers 429 with `Retry-After: 2`", Scenario.status(429, { retryAfter: "2 seconds" }), 100)

  row(
    { when: "The only node answers 429 with `Retry-After: 2`", says: (late) => ["the answer, later", price(late)] },
    Effect.gen(function* () {
      const { ask, cost, nodes } = yield* facing([{}])
      yield* nodes[0]!.play(Scenario.first(1, Scenario.status(429, { retryAfter: "2 seconds" })))
      const late = yield* cost(ask("eth_gasPrice"))
      assert.isString(valueOf(late))
      return late
    })
  )

  row(
    {
      when: "A node hangs",
      says: (first) => ["the answer, from another node", `${price(first)}; then ${price(settled as Cell)}`]
    },
    Effect.gen(function* () {
      const world = yield* facing(two)
      const read = reader(world)
      yield* world.nodes[1]!.play(Scenario.hang)
      const first = yield* world.cost(read())
      assert.isString(valueOf(first))
      for (let i = 0; i < 10; i++) {
        yield* TestClock.adjust("1 second")
        assert.deepInclude(yield* world.cost(read()), settled)
      }
      return first
    })
  )

  row(
    {
      when: "Every node hangs",
      says: (end) => ["`DeadlineExceeded`, which says so of each node", price(end)]
    },
    Effect.gen(function* () {
      const world = yield* facing(two)
      for (const node of world.nodes) yield* node.play(Scenario.hang)
      const end = yield* world.cost(reader(world)())
      const error = errorOf(end)
      assert.instanceOf(error, Call.DeadlineExceeded)
      assert.sameMembers(upstreamsOf(error), ["a", "b"])
      return end
    })
  )

  row(
    {
      when: "A node stands still while the chain goes on",
      says: ({ age, looks, most }) => [
        `a head that never goes back and is ${blocks(age)} old at most; reads of \`latest\` know what it was told`,
        `${requests(most)}, no delay; and ${looks} for each block, to see whether the node has caught up`
      ]
    },
    Effect.gen(function* () {
      const blockTime = 12_000
      const { ask, cost, draw, nodes } = yield* facing([{ blockTime }, { blockTime }])
      yield* nodes[1]!.play(Scenario.frozen)
      const count = (method: string) => nodes[0]!.count(method) + nodes[1]!.count(method)
      let head = 0
      let age = 0
      let most = 0
      let looks = 0
      for (let i = 0; i < 40; i++) {
        const looked = count("eth_getBlockByNumber")
        // Twice a block, at either node first in turn.
        yield* TestClock.adjust(blockTime / 2)
        for (const [method, params, node] of [
          ["eth_blockNumber", [], i],
          ["eth_getTransactionCount", [`0x${"1".repeat(40)}`, "latest"], i >> 1]
        ] as const) {
          draw(node % 2)
          const asked = count(method)
          const call = yield* cost(ask(method, ...params))
          assert.isAtLeast(Number(valueOf(call)), head)
          assert.strictEqual(call.time, 0)
          most = Math.max(most, count(method) - asked)
          if (method === "eth_blockNumber") head = Number(valueOf(call))
        }
        age = Math.max(age, nodes[0]!.head - head)
        looks = Math.max(looks, count("eth_getBlockByNumber") - looked)
      }
      assert.isAtMost(count("eth_getBlockByNumber"), looks * (nodes[0]!.head - 1_000))
      return { age, most, looks }
    })
  )

  row(
    {
      when: "A node is of another chain",
      says: ({ again, first }) => [
        "the answer, from another node",
        `${price(first)}; then ${requests(settled.requests)}, and every ${duration(again)} one to ask for its chain`
      ]
    },
    Effect.gen(function* () {
      const world = yield* facing([{}, { chainId: 137 }], { known: 1 })
      const read = reader(world)
      const first = yield* world.cost(read())
      assert.strictEqual(valueOf(first), valueOf(yield* (yield* facing([{}])).cost(reader(world)())))
      const again = yield* spared(world, read, 1_000)
      assert.strictEqual(world.nodes[1]!.count("eth_chainId"), 2)
      return { first, again }
    })
  )

  row(
    {
      when: "A node has pruned the block",
      says: ({ first, memory }) => [
        "the answer, from a node that has it",
        `${price(first)}; then ${requests(settled.requests)}: it is remembered for ${duration(memory)}`
      ]
    },
    Effect.gen(function* () {
      const world = yield* facing(two)
      const read = reader(world)
      const pruned = Scenario.error(-32000, "missing trie node 3c4f9f")
      yield* world.nodes[1]!.play(Scenario.when({ method: "eth_getBalance" }, pruned))
      const first = yield* world.cost(read("0x1"))
      assert.isString(valueOf(first))
      return { first, memory: yield* spared(world, () => read("0x1"), 60_000) }
    })
  )

  row(
    {
      when: "500 blocks of logs are asked for, and every node takes 100 at most",
      says: ({ first, next }) => ["all logs, in order, each once", `${price(first)}; then ${requests(next.requests)}`]
    },
    Effect.gen(function* () {
      const { ask, cost, nodes } = yield* facing(two)
      const wide = Scenario.when(
        ({ method, params }) => method === "eth_getLogs" && spanOf(params) > 100,
        Scenario.error(-32614, "eth_getLogs is limited to a 100 range")
      )
      const query = ask("eth_getLogs", { fromBlock: "0x1", toBlock: "0x1f4" })
      const all = valueOf(yield* (yield* facing([{}])).cost(query))
      assert.lengthOf(all as ReadonlyArray<unknown>, 500)
      for (const node of nodes) yield* node.play(wide)
      const first = yield* cost(query)
      assert.deepStrictEqual(valueOf(first), all)
      const next = yield* cost(ask("eth_getLogs", { fromBlock: "0x2", toBlock: "0x1f5" }))
      assert.lengthOf(valueOf(next) as ReadonlyArray<unknown>, 500)
      return { first, next }
    })
  )

  row(
    {
      when: "The last 3 blocks are replaced by others",
      says: ({ block, head }) => [
        "the new ones; what was kept of the old ones is dropped",
        `${requests(head.requests)} for the head that shows it, to find out how deep it goes; ${requests(block.requests)} for a block`
      ]
    },
    Effect.gen(function* () {
      const { ask, cost, nodes } = yield* facing(two)
      const latest = ask("eth_getBlockByNumber", "latest", false)
      const block = ask("eth_getBlockByNumber", "0x3e6", false)
      yield* cost(latest)
      const old = valueOf(yield* cost(block)) as { readonly hash: string }
      assert.strictEqual((yield* cost(block)).requests, 0)
      for (const node of nodes) {
        node.reorg(3)
        node.mine(1)
      }
      const head = yield* cost(latest)
      const anew = yield* cost(block)
      assert.deepInclude(valueOf(anew), { number: "0x3e6" })
      assert.notStrictEqual((valueOf(anew) as typeof old).hash, old.hash)
      return { head, block: anew }
    })
  )

  row(
    {
      when: "A call reverts",
      says: (revert) => ["`Rejected`, with the code and the data as they came", price(revert)]
    },
    Effect.gen(function* () {
      const { ask, cost, nodes } = yield* facing(two)
      for (const node of nodes) yield* node.play(Scenario.error(3, "execution reverted", { data: "0xdeadbeef" }))
      const revert = yield* cost(ask("eth_call", {}, "latest"))
      const error = errorOf(revert)
      assert.instanceOf(error, JsonRpc.Rejected)
      assert.deepInclude(error, { kind: "revert", code: 3, message: "execution reverted", data: "0xdeadbeef" })
      return revert
    })
  )

  row(
    {
      when: "A node takes a signed transaction, and its answer is lost",
      says: (lost) => ["the hash: another node knows the transaction, so it is not sent again", price(lost)]
    },
    Effect.gen(function* () {
      const raw = "0x02c0"
      const sent: Array<unknown> = []
      const methods = {
        eth_sendRawTransaction: ([transaction]: ReadonlyArray<unknown>) => {
          sent.push(transaction)
          return Write.hash(raw)
        },
        // Nodes tell each other.
        eth_getTransactionByHash: ([hash]: ReadonlyArray<unknown>) => (sent.length > 0 ? { hash } : null)
      }
      const { ask, cost, nodes } = yield* facing([{ methods }, { methods }])
      yield* nodes[1]!.play(Scenario.when({ method: "eth_sendRawTransaction" }, Scenario.dropMidway))
      const lost = yield* cost(ask("eth_sendRawTransaction", raw))
      assert.strictEqual(valueOf(lost), Write.hash(raw))
      assert.deepStrictEqual(sent, [raw])
      return lost
    })
  )

  row(
    {
      when: "The answer to `eth_sendTransaction` is lost",
      says: (lost) => ["`NoAnswer`: nobody can tell whether it ran, so it is not sent again", price(lost)]
    },
    Effect.gen(function* () {
      const { ask, cost, nodes } = yield* facing(two)
      yield* nodes[1]!.play(Scenario.dropMidway)
      const lost = yield* cost(ask("eth_sendTransaction", {}))
      assert.instanceOf(errorOf(lost), Call.NoAnswer)
      return lost
    })
  )

  leftAlone("A node refuses your key (401)", Scenario.status(401), 1_000)

  row(
    {
      when: "Every node is down, and answers 503",
      says: (end) => ["`NoAnswer`, with what each node said", price(end)]
    },
    Effect.gen(function* () {
      const world = yield* facing(two)
      yield* down(world)
      const end = yield* world.cost(reader(world)())
      const error = errorOf(end)
      assert.instanceOf(error, Call.NoAnswer)
      assert.sameMembers(upstreamsOf(error), ["a", "b"])
      return end
    })
  )

  row(
    {
      when: "All are back after an outage, every breaker still open",
      says: (first) => ["the answer, at the first call", price(first)]
    },
    Effect.gen(function* () {
      const world = yield* facing(two)
      const read = reader(world)
      yield* down(world)
      while (world.status().upstreams.some(({ breaker }) => breaker!.state !== "open")) yield* world.cost(read())
      for (const node of world.nodes) yield* node.play(Scenario.healthy)
      const first = yield* world.cost(read())
      assert.isString(valueOf(first))
      return first
    })
  )

  it("as the README says", ({ skip }) => {
    const rows = told.filter((row) => row !== undefined)
    skip(rows.length < told.length, "not all rows have run")
    const path = join(import.meta.dirname, "../../../README.md")
    const readme = readFileSync(path, "utf8")
    const text = `\n${table([["what happens", "what your program sees", "what it costs"], ...rows])}\n`
    const place = /(?<=<!-- weather -->\n)[^]*(?=<!-- \/weather -->)/
    if (process.env["UPDATE"] === "1")
      writeFileSync(
        path,
        readme.replace(place, () => text)
      )
    else assert.strictEqual(place.exec(readme)?.[0], text, "UPDATE=1 npx vitest run --project hawser test/weather")
  })
})

const down = ({ nodes }: World) => Effect.forEach(nodes, (node) => node.play(Scenario.status(503)))

const spanOf = (params: unknown): number => {
  const [{ fromBlock, toBlock }] = params as [{ readonly fromBlock: string; readonly toBlock: string }]
  return Number(toBlock) - Number(fromBlock) + 1
}

/** A table in Markdown, as oxfmt writes it. */
const table = ([head, ...rows]: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = head!.map((_, i) => Math.max(...[head!, ...rows].map((cells) => cells[i]!.length)))
  const line = (cells: ReadonlyArray<string>, blank = " ") =>
    `|${cells.map((cell, i) => `${blank}${cell.padEnd(widths[i]!, blank)}${blank}`).join("|")}|\n`
  return [
    line(head!),
    line(
      head!.map(() => ""),
      "-"
    ).replaceAll(/\|-(-+)-/g, "| $1 "),
    ...rows.map((cells) => line(cells))
  ].join("")
}
