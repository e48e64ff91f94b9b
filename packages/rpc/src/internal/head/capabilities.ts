// What an upstream's errors say it cannot do, for a while.
import type { JsonRpc } from "@hawser/core"
import type { ResponseError } from "../../RpcError.ts"
import type { Blocks } from "../block.ts"

/** Why an upstream is not asked. */
export type Inability =
  | { readonly kind: "unsupported" | "plan" }
  /** The lowest block that it has for this method. */
  | { readonly kind: "pruned"; readonly earliest: number }
  /** The most blocks that it takes at once. */
  | { readonly kind: "range"; readonly blocks: number }

/** What is learned is this much at most: methods are few, but a program may invent them without end. */
const most = 256

/** Blocks this near the head are not pruned; whoever lacks them is late. */
const recent = 64

// Without the method, on another plan.
const traces = /^(?:debug|trace|arbtrace)_/

interface Lesson<A> {
  readonly value: A
  readonly until: number
}

class Lessons<A> {
  private readonly lessons = new Map<string, Lesson<A>>()

  get size(): number {
    return this.lessons.size
  }

  get(method: string, now: number): A | undefined {
    const lesson = this.lessons.get(method)
    if (lesson === undefined || now < lesson.until) return lesson?.value
    this.lessons.delete(method)
    return undefined
  }

  set(method: string, value: A, until: number): void {
    this.lessons.delete(method)
    if (this.lessons.size >= most) this.lessons.delete(this.lessons.keys().next().value!)
    this.lessons.set(method, { value, until })
  }

  delete(method: string): void {
    this.lessons.delete(method)
  }

  entries(now: number): Record<string, A> {
    return Object.fromEntries(
      Array.from(this.lessons)
        .filter(([, { until }]) => now < until)
        .map(([method, { value }]) => [method, value])
    )
  }
}

export class Capabilities {
  private readonly missing = new Lessons<"unsupported" | "plan">()
  private readonly earliest = new Lessons<number>()
  private readonly ranges = new Lessons<number>()
  private readonly memory: number

  /** `memory`: for how many milliseconds a lesson holds. */
  constructor(memory: number) {
    this.memory = memory
  }

  /** Nothing is known to be beyond it. */
  get unlimited(): boolean {
    return this.missing.size === 0 && this.earliest.size === 0 && this.ranges.size === 0
  }

  /** Why a request is not for this upstream. */
  refuses({ method }: JsonRpc.Request, blocks: Blocks | undefined, now: number): Inability | undefined {
    const kind = this.missing.get(method, now)
    if (kind !== undefined) return { kind }
    if (typeof blocks?.from !== "number") return undefined
    const earliest = this.earliest.get(method, now)
    if (earliest !== undefined && blocks.from < earliest) return { kind: "pruned", earliest }
    const cap = this.ranges.get(method, now)
    return cap !== undefined && spanOf(blocks) > cap ? { kind: "range", blocks: cap } : undefined
  }

  /** Learns from an error. `height`: the upstream's head, as far as it is known. */
  failed(
    { method }: JsonRpc.Request,
    blocks: Blocks | undefined,
    error: ResponseError,
    height: number,
    now: number
  ): void {
    const until = now + this.memory
    const from = typeof blocks?.from === "number" ? blocks.from : undefined
    switch (error.kind) {
      case "unsupported":
        return this.missing.set(method, "unsupported", until)
      case "plan":
        if (traces.test(method)) this.missing.set(method, "plan", until)
        else if (from !== undefined && from <= height - recent) this.earliest.set(method, from + 1, until)
        return
      case "missing": {
        const { earliest } = error.hints
        if (earliest !== undefined && earliest <= height) this.earliest.set(method, earliest, until)
        else if (from !== undefined && from <= height - recent) {
          this.earliest.set(method, Math.max(from + 1, this.earliest.get(method, now) ?? 0), until)
        }
        return
      }
      case "range": {
        const { range } = error.hints
        if (range !== undefined && "blocks" in range) this.ranges.set(method, range.blocks, until)
      }
    }
  }

  /** An answer disproves what was learned. */
  answered({ method }: JsonRpc.Request, blocks: Blocks | undefined, now: number): void {
    this.missing.delete(method)
    if (typeof blocks?.from !== "number") return
    const earliest = this.earliest.get(method, now)
    if (earliest !== undefined && blocks.from < earliest) this.earliest.delete(method)
    const cap = this.ranges.get(method, now)
    if (cap !== undefined && spanOf(blocks) > cap) this.ranges.delete(method)
  }

  inspect(now: number) {
    return {
      unsupported: Object.keys(this.missing.entries(now)),
      earliest: this.earliest.entries(now),
      ranges: this.ranges.entries(now)
    }
  }
}

const spanOf = ({ from, to }: Blocks): number =>
  typeof from === "number" && typeof to === "number" ? to - from + 1 : 1
