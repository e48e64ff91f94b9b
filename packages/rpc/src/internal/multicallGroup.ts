import { Call, type JsonRpc, Relay } from "@hawser/core"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { bytesOf, type Part } from "./multicall.ts"

/** Someone who waits for one part of a shared call. */
export interface Member<E> {
  readonly part: Part
  readonly request: JsonRpc.Request
  readonly call: Call.Call | undefined
  /** Takes the answer, or what is to be done to get it. */
  readonly resume: (answer: Effect.Effect<Effect.Effect<unknown, E>>) => void
}

/** Calls on one block that are asked together. */
export class Group<E> {
  readonly members = new Set<Member<E>>()
  bytes = 0
  /** Runs when it was launched. */
  fiber: Fiber.Fiber<unknown, E> | undefined = undefined

  join(member: Member<E>): void {
    this.members.add(member)
    this.bytes += bytesOf(member.part)
  }

  /** The call that it runs under. What is learned of upstreams is told to all who wait. */
  open(): Call.Call {
    const { members } = this
    let recorded = false
    let deadline = -Infinity
    for (const { call } of members) {
      recorded ||= call?.recorder !== undefined
      deadline = Math.max(deadline, call?.deadline ?? Infinity)
    }
    const call = new Call.Call(recorded ? new Relay.Recorder(members) : undefined, deadline)
    call.failures = new Relay.Failures(members)
    for (const member of members) if (member.call !== undefined) member.call.worker = call
    return call
  }
}
