/** The whole: nodes, service, storm, load and table; or the service over the user's own upstreams, and the table. */
import type { FaultyNode } from "@hawser/testkit"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Call, JsonRpc, Stack } from "hawser"
import * as Keys from "./Keys.ts"
import * as Load from "./Load.ts"
import * as Nodes from "./Nodes.ts"
import * as Observer from "./Observer.ts"
import { type Sample, summarize } from "./Samples.ts"
import type { Screen } from "./Screen.ts"
import * as Server from "./Server.ts"
import * as Service from "./Service.ts"
import type { UsageError } from "./Settings.ts"
import * as Storm from "./Storm.ts"
import type * as Summary from "./Summary.ts"
import * as Table from "./Table.ts"
import * as Upstreams from "./Upstreams.ts"
import * as Verdict from "./Verdict.ts"

export interface Options {
  readonly screen: Screen
  /** Where to listen. `undefined`: 8080, or the next port that is free. */
  readonly port: number | undefined
}

export interface StormOptions extends Options {
  readonly nodes: Nodes.Nodes
  readonly phases: ReadonlyArray<Storm.Phase>
  /** Requests per second, to the service and to the bare node each. */
  readonly rate: number
}

/** Serves the user's own upstreams, and shows them, until it is interrupted. */
export const watch = (upstreams: ReadonlyArray<string>, options: Options): Effect.Effect<never, UsageError> =>
  Effect.gen(function* () {
    const url = yield* Server.url
    const describe = yield* upstreamsNow
    yield* greet(options.screen, url)
    return yield* showing(options.screen, () => ({ title: `serving on ${url}`, upstreams: describe(), load: [] }))
  }).pipe(Effect.provide(live({ upstreams }, options)))

/** Plays the storm over a service of its own, which goes on until the scope ends. */
export const storm = (
  options: StormOptions
): Effect.Effect<Summary.Outcome, UsageError | FaultyNode.ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const { all } = options.nodes
    yield* Storm.calm(all)
    const upstreams = all.map(({ name, url }) => ({ name, url }))
    const service = yield* Layer.build(live({ upstreams, chainId: Nodes.chainId }, options))
    return yield* Effect.provideContext(weather(options), service)
  })

/** The service, on a port. */
const live = (stack: Stack.Options, { port }: Options) =>
  Service.layer({ clientOf: Keys.clientOf }).pipe(
    Layer.provideMerge(Layer.merge(Server.layer(port), Service.stack(stack).pipe(Layer.provide(Observer.layer))))
  )

const weather = ({ nodes, phases, rate, screen }: StormOptions) =>
  Effect.gen(function* () {
    const url = yield* Server.url
    const clock = yield* Clock.Clock
    const describe = yield* upstreamsNow
    yield* greet(screen, url)
    screen.say(
      nodes.simulated === undefined
        ? "over three anvil nodes, with a faulty one in front of each"
        : `over three simulated nodes, as there is no anvil here (${nodes.simulated})`
    )

    const now = () => Call.now(clock)
    const began = now()
    const seconds = phases.reduce((sum, phase) => sum + phase.seconds, 0)
    const account = new Storm.Account(nodes.all.map(({ name }) => name))
    const samples: Array<Sample> = []
    const bareSamples: Array<Sample> = []
    const bare = nodes.all[0]!
    let phase = phases[0]!

    const over = yield* Deferred.make<void>()
    const load = { rate, until: Deferred.await(over) }
    const agents = yield* Load.agents
    const target = Load.service(agents.service, url, Keys.load)
    const play = Storm.play(phases, nodes.all, account, (next) =>
      Effect.sync(() => {
        phase = next
        screen.say(`${at(now() - began)} s  ${next.title}`)
      })
    )
    const view = (): Table.View => ({
      title: `${at(now() - began)} of ${seconds} s  ${phase.title}`,
      upstreams: describe().map((upstream) => ({
        ...upstream,
        fault: phase.faults[upstream.name as Nodes.Name]?.label
      })),
      load: [
        { name: "service", statistics: summarize(samples, now()) },
        { name: `${bare.name} alone`, statistics: summarize(bareSamples, now()) }
      ]
    })

    const everything = Effect.all(
      [
        Load.untilRefused(Load.service(agents.service, url, Keys.greedy)),
        Effect.ensuring(play, Deferred.succeed(over, undefined)),
        Load.steady(target, { ...load, patience: "15 seconds" }, (sample) => samples.push(sample)),
        Load.steady(Load.node(agents.bare, bare.url), { ...load, patience: "1 second" }, (sample) =>
          bareSamples.push(sample)
        )
      ],
      { concurrency: "unbounded" }
    )
    // The first request warms up what the others use.
    yield* target
    const [retryAfter] = yield* Effect.raceFirst(everything, showing(screen, view))
    return {
      service: summarize(samples, now()),
      bare: summarize(bareSamples, now()),
      bareName: bare.name,
      phases,
      verdict: Verdict.judge(samples, account.blackouts),
      retryAfter
    }
  })

const greet = (screen: Screen, url: string): Effect.Effect<void> =>
  Effect.sync(() => screen.say(`serving on ${url}: /blockNumber, /health, /metrics`))

const at = (millis: number): string => String(Math.floor(millis / 1000)).padStart(2)

/** Draws the view four times each second. Without a terminal, says it in a line every five seconds, if it has changed. */
const showing = (screen: Screen, view: () => Table.View): Effect.Effect<never> => {
  if (screen.live) {
    const draw = Effect.sync(() => screen.show(Table.draw(view(), screen.colours)))
    return Effect.forever(Effect.andThen(draw, Effect.sleep("250 millis")))
  }
  let said = ""
  const say = Effect.sync(() => {
    const text = Table.brief(view())
    if (text !== said) screen.say(`      ${(said = text)}`)
  })
  return Effect.forever(Effect.andThen(Effect.sleep("5 seconds"), say))
}

/** Describes the upstreams, with the requests each got in the last second. */
const upstreamsNow = Effect.gen(function* () {
  const client = yield* JsonRpc.client<Stack.Error>()
  const clock = yield* Clock.Clock
  const current = () => Upstreams.describe(Stack.status(client.inspect()))
  let before = { at: Call.now(clock), upstreams: current() }
  let rates: ReadonlyArray<number> = []
  return () => {
    const at = Call.now(clock)
    const upstreams = current()
    const elapsed = at - before.at
    if (elapsed >= 1000) {
      rates = upstreams.map(({ asked }, i) => ((asked - before.upstreams[i]!.asked) * 1000) / elapsed)
      before = { at, upstreams }
    }
    return upstreams.map((upstream, i) => ({ ...upstream, rate: rates[i] }))
  }
})
