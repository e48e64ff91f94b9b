/** What must hold whatever the weather: how Hawser's promises look from outside. */
import * as Cause from "effect/Cause"
import { Call, JsonRpc, type Stack } from "hawser"
import { hex, headAt, revertOf, truth } from "./Chain.ts"
import type { Asked } from "./Clients.ts"
import { keyOf, type Node, type Visit, type Watcher } from "./Node.ts"
import type { World } from "./World.ts"

/** Requests that one call may send. */
const attempts = 6
const deadline = 10_000
/** Clocks count in nanoseconds and these checks in fractions of milliseconds. */
const tolerance = 0.01

export class Checks implements Watcher {
  readonly violations: Array<string> = []
  requests = 0
  private readonly world: World
  private readonly nodes: () => ReadonlyArray<Node>
  /** Requests under way, and sent, by what they ask. */
  private readonly open = new Map<string, number>()
  private readonly sent = new Map<string, number>()
  private readonly sentBy = new Map<Call.Call, number>()
  private readonly written = new Map<string, number>()
  /** The highest head that anybody has been told. */
  private told = 0
  private readonly toldAt = new WeakMap<Asked, number>()

  constructor(world: World, nodes: () => ReadonlyArray<Node>) {
    this.world = world
    this.nodes = nodes
  }

  readonly arrived = ({ at, call, key, node }: Visit): void => {
    this.requests++
    this.world.note("asks", node, key)
    add(this.open, key, 1)
    const sent = add(this.sent, key, 1)
    if (isOwn(key) && sent > attempts) this.violated(`${sent} requests for one call: ${key}`)
    if (call !== undefined && add(this.sentBy, call, 1) > attempts) {
      this.violated(`more than ${attempts} requests in the name of one call: ${key}`)
    }
    const { pausedUntil } = this.nodes().find(({ name }) => name === node)!
    if (at < pausedUntil - tolerance) this.violated(`${node} is asked ${pausedUntil - at} ms before it said: ${key}`)
  }

  readonly ran = ({ key }: Visit): void => {
    if (key.startsWith("eth_send") && add(this.written, key, 1) > 1) this.violated(`a write has run twice: ${key}`)
  }

  readonly left = ({ key, node }: Visit): void => {
    this.world.note("done", node, key)
    add(this.open, key, -1)
  }

  readonly begins = (call: Asked): void => {
    this.toldAt.set(call, this.told)
    this.world.note("call", keyOf(call.request))
  }

  readonly ends = (call: Asked): void => {
    const { began, ended, left, request } = call
    const exit = call.exit!
    const key = keyOf(request)
    this.world.note("ends", key, exit._tag)
    if (ended - began > deadline + tolerance) this.violated(`took ${ended - began} ms: ${key}`)
    if (exit._tag === "Success") return this.answered(call, exit.value)
    if (Cause.hasInterruptsOnly(exit.cause)) {
      if (left === undefined) this.violated(`interrupted, though nobody has: ${key}`)
      else if (ended - left > tolerance) this.violated(`ended ${ended - left} ms after its caller had left: ${key}`)
      if (isOwn(key) && this.open.get(key) !== 0 && this.sent.has(key))
        this.violated(`still asked, though its caller has left: ${key}`)
      return
    }
    for (const reason of exit.cause.reasons) {
      if (Cause.isFailReason(reason)) this.failed(request, reason.error)
      else if (Cause.isDieReason(reason)) this.violated(`died of ${String(reason.defect)}: ${key}`)
    }
  }

  /** When nobody asks any more. */
  atRest(status: Stack.Status): void {
    if (this.world.waiting > 0) this.violated(`${this.world.waiting} timers, though nobody asks`)
    for (const [key, open] of this.open) if (open !== 0) this.violated(`${open} requests under way: ${key}`)
    for (const { concurrency, name, pool, rateLimit } of status.upstreams) {
      if (pool !== undefined && pool.inflight !== 0) this.violated(`${name}: ${pool.inflight} under way in the pool`)
      if (rateLimit !== undefined && rateLimit.waiting !== 0) this.violated(`${name}: ${rateLimit.waiting} in line`)
      if (concurrency !== undefined && concurrency.inflight + concurrency.waiting !== 0) {
        this.violated(`${name}: ${concurrency.inflight} permits not given back, ${concurrency.waiting} in line`)
      }
    }
  }

  violated(what: string): void {
    this.violations.push(`at ${this.world.now.toFixed(0)} ms: ${what}`)
  }

  private answered(call: Asked, value: unknown): void {
    const { request } = call
    const key = keyOf(request)
    if (request.method === "eth_blockNumber") {
      const head = Number(value)
      const known = this.toldAt.get(call)!
      if (!(head <= headAt(this.world.now))) this.violated(`a head that nobody has: ${String(value)}`)
      if (head < known) this.violated(`the head goes back from ${hex(known)} to ${String(value)}`)
      this.told = Math.max(this.told, head)
    } else if (revertOf(request) !== undefined) this.violated(`${String(value)} where it reverts: ${key}`)
    else if (value !== truth(request)) this.violated(`${JSON.stringify(value)} is not the answer: ${key}`)
  }

  private failed(request: JsonRpc.Request, error: Stack.Error): void {
    const key = keyOf(request)
    if (error instanceof JsonRpc.Rejected) {
      if (error.data !== revertOf(request)) this.violated(`a revert with ${String(error.data)}: ${key}`)
    } else if (error instanceof Call.NoAnswer && request.nature === "read") {
      const named = new Set(error.causes.map(({ upstream }) => upstream))
      const missing = this.nodes().filter(({ name }) => !named.has(name))
      if (missing.length > 0) this.violated(`no cause for ${missing.map(({ name }) => name).join(", ")}: ${key}`)
    }
  }
}

/** Whether it is a call's own, and of one call only. */
const isOwn = (key: string): boolean => /^eth_(getBalance|call|sendTransaction) /.test(key)

const add = <K>(counts: Map<K, number>, key: K, n: number): number => {
  const count = (counts.get(key) ?? 0) + n
  counts.set(key, count)
  return count
}
