/** Does what the settings say, on this terminal. */
import type { FaultyNode } from "@hawser/testkit"
import * as Effect from "effect/Effect"
import * as Demo from "./Demo.ts"
import * as Logs from "./Logs.ts"
import * as Nodes from "./Nodes.ts"
import * as Screen from "./Screen.ts"
import type { Settings, UsageError } from "./Settings.ts"
import * as Storm from "./Storm.ts"
import * as Summary from "./Summary.ts"

/** Ends with the status of the process, or, unless there is one to give, not at all. */
export const run = ({ once, port, upstreams }: Settings): Effect.Effect<number, UsageError | FaultyNode.ListenError> =>
  Effect.gen(function* () {
    const screen = yield* Screen.make(process.stdout, process.env)
    const program = upstreams === undefined ? storm(screen, port, once) : Demo.watch(upstreams, { screen, port })
    return yield* Effect.provide(program, Logs.layer(screen, process.stderr))
  }).pipe(Effect.scoped)

const storm = (screen: Screen.Screen, port: number | undefined, once: boolean) =>
  Effect.gen(function* () {
    const nodes = yield* Nodes.start
    const outcome = yield* Demo.storm({ screen, port, nodes, phases: Storm.script, rate: 50 })
    screen.show([])
    screen.say(Summary.write(outcome).join("\n"))
    if (once) return outcome.verdict.breaches.length === 0 ? 0 : 1
    screen.say("still serving: Ctrl-C ends it")
    return yield* Effect.never
  })
