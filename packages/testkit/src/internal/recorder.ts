/** Remembers what a node was asked, and wakes whoever waits for a change. */
import * as Effect from "effect/Effect"
import type { IncomingHttpHeaders } from "node:http"
import type { Fault } from "../Fault.ts"
import type { Request } from "../Scenario.ts"
import type { Call } from "./requests.ts"

/** How a call ended. */
export type Ended = "pending" | "answered" | "aborted" | "dropped"

/** Where calls came from: one HTTP request. */
export interface Origin {
  readonly at: number
  readonly headers: IncomingHttpHeaders
  readonly connection: number
  readonly reused: boolean
  readonly batch: number | undefined
}

export class Asked implements Request {
  readonly method: string
  readonly params: unknown
  readonly id: unknown
  readonly index: number
  readonly batch: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly connection: number
  readonly reused: boolean
  readonly at: number
  fault: Fault["_tag"] | undefined = undefined
  ended: Ended = "pending"

  constructor(call: Call, index: number, origin: Origin) {
    this.method = call.method
    this.params = call.params
    this.id = call.id
    this.index = index
    this.batch = origin.batch
    this.headers = origin.headers
    this.connection = origin.connection
    this.reused = origin.reused
    this.at = origin.at
  }
}

export class Recorder {
  requests: Array<Asked> = []
  readonly connections = { open: 0, total: 0 }
  aborted = 0
  private last = 0
  private telling = false
  private readonly counts = new Map<string, number>()
  private readonly enabled: boolean
  private readonly waiters = new Set<() => void>()

  constructor(enabled: boolean) {
    this.enabled = enabled
  }

  add(asked: Asked): void {
    this.counts.set(asked.method, (this.counts.get(asked.method) ?? 0) + 1)
    if (this.enabled) this.requests.push(asked)
  }

  /** How often a method was asked, or any. */
  count(method?: string): number {
    if (method !== undefined) return this.counts.get(method) ?? 0
    let all = 0
    for (const count of this.counts.values()) all += count
    return all
  }

  /** Returns the connection's number. */
  connected(): number {
    this.connections.open++
    this.connections.total++
    this.changed()
    return ++this.last
  }

  disconnected(): void {
    this.connections.open--
    this.changed()
  }

  /** Forgets all but the connections that are open. */
  clear(): void {
    this.requests = []
    this.counts.clear()
    this.aborted = 0
    this.connections.total = this.connections.open
  }

  /**
   * Something changed: those who wait are asked whether it is what they wait for. Not at once: they go on with their
   * program, and whoever made the change may be in the middle of it.
   */
  changed(): void {
    if (this.waiters.size === 0 || this.telling) return
    this.telling = true
    queueMicrotask(() => {
      this.telling = false
      for (const check of this.waiters) check()
    })
  }

  /** Ends when the condition holds, now or after a change. */
  until(condition: () => boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const check = () => {
        try {
          if (!condition()) return
          resume(Effect.void)
        } catch (error) {
          resume(Effect.die(error))
        }
        this.waiters.delete(check)
      }
      this.waiters.add(check)
      check()
      return Effect.sync(() => void this.waiters.delete(check))
    })
  }
}
