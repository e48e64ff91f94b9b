// A batch over a cache: what is held is answered from here, and the rest goes on as a smaller batch, which brings the load of each
// of its keys. What somebody loads already, what is old, or may be in a second level, is to be asked apart: nobody waits for
// another's load.
import { Call, JsonRpc } from "@hawser/core"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { Flight } from "./flight.ts"
import type { Flights } from "./flights.ts"
import type { Policy } from "./policy.ts"

/** How a read is cached; `undefined`: it is not. */
export type Route = (
  request: JsonRpc.Request
) => { readonly key: string; readonly policy: Policy<never, never> } | undefined

/** A read that goes on, and the load that its answer is. */
interface Asked {
  readonly request: JsonRpc.Request
  readonly flight: Flight | undefined
  /** Which of the batch it answers: more than one where they are the same. */
  readonly places: Array<number>
}

export const bulk = <E>(
  batch: ReadonlyArray<JsonRpc.Request>,
  route: Route,
  flights: Flights,
  below: JsonRpc.Service<E>
): Effect.Effect<JsonRpc.Answers, E> =>
  Effect.suspend(() => {
    const one = new Bulk(route, flights, below)
    return Effect.onExitPrimitive(
      Effect.withFiber((fiber) => one.run(batch, fiber.getRef(Call.Current))),
      () => one.end()
    )
  })

class Bulk<E> {
  private readonly route: Route
  private readonly flights: Flights
  private readonly below: JsonRpc.Service<E>
  private readonly answers: Array<Exit.Exit<unknown, unknown>> = []
  private readonly asked: Array<Asked> = []

  constructor(route: Route, flights: Flights, below: JsonRpc.Service<E>) {
    this.route = route
    this.flights = flights
    this.below = below
  }

  run(batch: ReadonlyArray<JsonRpc.Request>, call: Call.Call | undefined): Effect.Effect<JsonRpc.Answers, E> {
    const known = new Map<string, Asked>()
    for (const [place, request] of batch.entries()) this.sort(request, place, known, call)
    const { answers, asked } = this
    if (asked.length === 0) return Effect.succeed(answers)
    if (answers.length === 0) return Effect.map(this.rest(), (exits) => this.land(exits))
    return Effect.map(Effect.exit(this.rest()), (exit) =>
      this.land(exit._tag === "Success" ? exit.value : asked.map(() => exit))
    )
  }

  /** Lets go of what the batch did not bring. */
  end(): undefined {
    for (const { flight } of this.asked) if (flight !== undefined) this.flights.forsake(flight)
    return undefined
  }

  private sort(request: JsonRpc.Request, place: number, known: Map<string, Asked>, call: Call.Call | undefined): void {
    const routed = this.route(request)
    if (routed === undefined) return void this.asked.push({ request, flight: undefined, places: [place] })
    const { key, policy } = routed
    const same = known.get(key)
    if (same !== undefined) {
      this.flights.again(call)
      return void same.places.push(place)
    }
    const hit = this.flights.hit(call, key)
    if (hit !== undefined) return void (this.answers[place] = hit)
    const load = Effect.suspend(() => this.below.request(request))
    const flight = this.flights.begin(call, key, load, policy)
    if (flight === undefined) return void (this.answers[place] = JsonRpc.apart)
    const asked = { request, flight, places: [place] }
    this.asked.push(asked)
    known.set(key, asked)
  }

  // One that goes by itself may be refused by the chain, which is an answer as well.
  private rest(): Effect.Effect<JsonRpc.Answers, E> {
    const { asked, below } = this
    return asked.length === 1
      ? Effect.map(Effect.exit(below.request(asked[0]!.request)), (exit) => [exit])
      : (below.request(JsonRpc.makeBatch(asked.map(({ request }) => request))) as Effect.Effect<JsonRpc.Answers, E>)
  }

  private land(exits: JsonRpc.Answers): JsonRpc.Answers {
    for (const [i, exit] of exits.entries()) {
      const { flight, places } = this.asked[i]!
      const answer = flight === undefined ? exit : this.bring(flight, exit)
      for (const place of places) this.answers[place] = answer
    }
    return this.answers
  }

  private bring(flight: Flight, exit: Exit.Exit<unknown, unknown>): Exit.Exit<unknown, unknown> {
    if (JsonRpc.isAnswer(exit)) return this.flights.land(flight, exit)
    this.flights.forsake(flight)
    return exit
  }
}
