/** Some hundred clients of one stack, each with one call at a time. Some lose patience and leave. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { JsonRpc, type Stack } from "hawser"
import type { Due } from "./Agenda.ts"
import { length } from "./Scenarios.ts"
import type { World } from "./World.ts"

/** One call, from its caller's side. */
export interface Asked {
  readonly request: JsonRpc.Request
  readonly began: number
  /** When its caller left; `undefined` if it stayed. */
  left: number | undefined
  ended: number
  exit: Exit.Exit<unknown, Stack.Error> | undefined
}

export const clients = 200

/** The mean time between a client's calls, in milliseconds. */
const rest = 10_000

/** The share of callers who leave before the answer, within this many milliseconds. */
const impatient = { share: 0.05, within: 300 }

export const start = (
  world: World,
  rpc: JsonRpc.Service<Stack.Error>,
  told: { readonly begins: (call: Asked) => void; readonly ends: (call: Asked) => void }
): void => {
  const run = Effect.runForkWith(Context.add(world.context(), JsonRpc.client<Stack.Error>(), rpc))
  let calls = 0

  /** Asks, and gives the function by which the caller leaves. Every other client has no fiber, as in a `Provider`. */
  const begin = (request: JsonRpc.Request, bare: boolean, ended: (exit: Answer) => void): (() => void) => {
    const place = bare ? rpc.submit?.(request, { end: (exit) => ended(exit as Answer) }) : undefined
    if (place !== undefined) return () => run(place.leave()).addObserver(() => ended(Exit.interrupt()))
    const fiber = run(rpc.request(request))
    fiber.addObserver(ended)
    return () => fiber.interruptUnsafe()
  }

  const ask = (bare: boolean): void => {
    const call: Asked = {
      request: draw(++calls, world.random),
      began: world.now,
      left: undefined,
      ended: NaN,
      exit: undefined
    }
    told.begins(call)
    let leaving: Due | undefined
    const leave = begin(call.request, bare, (exit) => {
      if (leaving !== undefined) world.cancel(leaving)
      call.exit = exit
      call.ended = world.now
      told.ends(call)
      again(bare)
    })
    const isImpatient = world.random() < impatient.share
    if (isImpatient && call.exit === undefined) {
      leaving = world.at(world.now + world.random() * impatient.within, () => {
        call.left = world.now
        leave()
      })
    }
  }

  const again = (bare: boolean): void => {
    const at = world.now - rest * Math.log(1 - world.random())
    if (at < length) world.at(at, () => ask(bare))
  }

  for (let i = 0; i < clients; i++) world.at(world.random() * rest, () => ask(i % 2 === 1))
}

type Answer = Exit.Exit<unknown, Stack.Error>

// Each is about something else, so that no two share an answer, except those that ask for the head.
const draw = (n: number, random: () => number): JsonRpc.Request => {
  const address = `0x${n.toString(16).padStart(40, "0")}`
  const kind = random()
  if (kind < 0.7) return JsonRpc.makeRequest("eth_getBalance", [address, "latest"])
  if (kind < 0.8) return JsonRpc.makeRequest("eth_blockNumber")
  if (kind < 0.9) return JsonRpc.makeRequest("eth_call", [{ to: address }, "latest"])
  return JsonRpc.makeRequest("eth_sendTransaction", [{ from: address, nonce: n }])
}
