// What can be wrong with a node, one row each, and what an application sees of it: for the suites of both adapters.
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Effect, type Scope } from "effect"
import { readFileSync, readdirSync } from "node:fs"
import type { ErrorName } from "./viems.ts"

export interface Fault {
  readonly title: string
  /** What is wrong with the node. The other, if there is one, is well. */
  readonly scenario: Scenario.Scenario
  /** What is seen of the node alone: the name of viem 2's error, the code of ethers'. */
  readonly viem: ErrorName
  readonly ethers: string
}

const fault = (
  title: string,
  scenario: Scenario.Scenario,
  viem: ErrorName = "HttpRequestError",
  ethers = "SERVER_ERROR"
): Fault => ({
  title,
  scenario,
  viem,
  ethers
})

/** Each is asked once, if it is there, and then the other. */
export const faults: ReadonlyArray<Fault> = [
  fault("is not there", Scenario.refuse),
  fault("hangs", Scenario.hang, "TimeoutError", "TIMEOUT"),
  fault("closes the connection", Scenario.drop),
  fault("closes the connection midway", Scenario.dropMidway),
  fault("breaks its answer off", Scenario.truncated),
  fault("answers a page", Scenario.status(200)),
  ...[400, 401, 402, 403, 404, 408, 413, 429, 500, 502, 503, 504, 529].map((status) =>
    fault(`answers with HTTP ${status}`, Scenario.status(status))
  ),
  fault("is throttled for an hour", Scenario.status(429, { retryAfter: "1 hour" })),
  fault("is of another chain", Scenario.wrongChain(5), "HttpRequestError", "NETWORK_ERROR"),
  fault("is behind", Scenario.behind(8), "InvalidInputRpcError"),
  ...(["foreignId", "nullId", "noId", "noResult", "stringError", "emptyError", "null", "array"] as const).map((how) =>
    fault(`answers malformed: ${how}`, Scenario.malformed(how))
  )
]

/** An error as a node or a provider words it; `kind` is how Hawser reads it. */
export interface Dialect {
  readonly title: string
  readonly kind: string
  readonly scenario: Scenario.Scenario
}

/** Kinds that are the chain's own answer. Nobody else is asked. */
export const rejected: ReadonlySet<string> = new Set([
  "revert",
  "known",
  "nonce",
  "invalid",
  "transaction",
  "filter",
  "sender-limit"
])

const fixtures = new URL("../../../packages/rpc/test/errors/fixtures/", import.meta.url)

/** One error of each kind, status and code that is known for a method. */
export const dialectsOf = (method: string): ReadonlyArray<Dialect> => {
  const found = new Map<string, Fixture>()
  for (const file of readdirSync(fixtures)) {
    for (const line of readFileSync(new URL(file, fixtures), "utf8").trimEnd().split("\n")) {
      const fixture = JSON.parse(line) as Fixture
      const { code, http, kind } = fixture
      // Without a code, or with one in a string, viem's http() takes it for something else.
      const isPlain = typeof code === "number" || http !== 200
      if (fixture.method === method && isPlain) found.set(`${kind} ${http} ${code}`, fixture)
    }
  }
  return Array.from(found, ([title, fixture]) => {
    const { body, code, data, http: status, id, kind, message, retryAfterHeader } = fixture
    const headers = retryAfterHeader === undefined ? {} : { "retry-after": retryAfterHeader }
    return {
      title: `${title} (${id})`,
      kind,
      scenario: Scenario.when(
        { method },
        code === undefined && message === undefined && data === undefined
          ? Scenario.status(status, { body: body ?? "", headers })
          : Scenario.error(code as number, message as string, { data, status, headers })
      )
    }
  })
}

interface Fixture {
  readonly id: string
  readonly kind: string
  readonly http: number
  readonly method: string
  readonly code?: number | string
  readonly message?: unknown
  readonly data?: unknown
  readonly body?: string
  readonly retryAfterHeader?: string
}

/** A node that is at fault and one that is well. The former is asked first. */
export interface Pair {
  readonly bad: FaultyNode.FaultyNode
  readonly good: FaultyNode.FaultyNode
  /** As upstreams, of which the first alone, or both. */
  readonly upstreams: (count: 1 | 2) => ReadonlyArray<{ readonly url: string; readonly tier: number }>
  /** How often each was asked for a method. */
  readonly asked: (method: string) => readonly [bad: number, good: number]
}

export const pair = (
  scenario: Scenario.Scenario = Scenario.healthy
): Effect.Effect<Pair, FaultyNode.ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const bad = yield* FaultyNode.make({ scenario })
    const good = yield* FaultyNode.make()
    return {
      bad,
      good,
      // Only the first has little time, and enough to be asked: the other answers however busy the machine is.
      upstreams: (count) =>
        [
          { url: bad.url, tier: 0, ...(scenario._tag === "Hang" ? { timeout: "500 millis" as const } : {}) },
          { url: good.url, tier: 1 }
        ].slice(0, count),
      asked: (method) => [bad.count(method), good.count(method)]
    }
  })

/** A signed transaction. */
export const raw =
  "0x02f86b0180843b9aca008502540be4008252089400000000000000000000000000000000000000aa0180c001a0e5032e1179de6e1ed2d54f6646bf07a729eedfdf4c3844d06dae91b9d4a1f88ba056f25c2cfd0f60be42f533758d4ffca22c417a77868cc1f4f6ca902a44c58be1"

/** What is asked: a call at the newest block, which a node that is behind does not have. */
export const question = { to: "0x00000000000000000000000000000000000000aa", block: 1000 } as const
