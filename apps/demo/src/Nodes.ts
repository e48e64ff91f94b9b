/** Three Ethereum nodes, and a faulty one in front of each. */
import { Anvil, FaultyNode, type Scenario } from "@hawser/testkit"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

export const names = ["alpha", "bravo", "charlie"] as const

export type Name = (typeof names)[number]

export interface Node {
  readonly name: Name
  readonly url: string
  readonly play: (scenario: Scenario.Scenario) => Effect.Effect<void, FaultyNode.ListenError>
}

export interface Nodes {
  readonly all: ReadonlyArray<Node>
  /** Why they are no anvils, if they are none. */
  readonly simulated: string | undefined
}

export const chainId = 31_337

// A head that looks like one, and leaves room to lag behind.
const head = 21_000_000

/** Starts them all at once, so that their heads are close. Without anvil they are simulated. */
export const start: Effect.Effect<Nodes, FaultyNode.ListenError, Scope.Scope> = Effect.gen(function* () {
  const anvils = yield* Effect.result(
    together(names.map(() => Anvil.make({ chainId, blockTime: "1 second", args: ["--number", String(head)] })))
  )
  if (anvils._tag === "Failure") return { all: yield* simulate, simulated: firstLine(anvils.failure.message) }
  const all = yield* Effect.forEach(anvils.success, ({ url }, i) => faulty(names[i]!, { behind: url }))
  return { all, simulated: undefined }
})

/** Nodes with a chain of their own. */
export const simulate: Effect.Effect<ReadonlyArray<Node>, FaultyNode.ListenError, Scope.Scope> = Effect.forEach(
  names,
  (name) => faulty(name, { chainId, head, blockTime: "1 second" })
)

const faulty = (name: Name, options: FaultyNode.Options) =>
  Effect.map(FaultyNode.make({ ...options, record: false, keepAlive: "65 seconds" }), ({ play, url }): Node => ({
    name,
    url,
    play
  }))

// All or none: if one cannot start, those that did are stopped.
const together = <A, E>(starts: ReadonlyArray<Effect.Effect<A, E, Scope.Scope>>) =>
  Effect.gen(function* () {
    const scope = yield* Scope.fork(yield* Effect.scope)
    return yield* Effect.all(starts, { concurrency: "unbounded" }).pipe(
      Scope.provide(scope),
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
    )
  })

const firstLine = (text: string): string => text.split("\n")[0]!
