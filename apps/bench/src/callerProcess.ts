/** A contender at work, in a process of its own: whatever it costs is this process's CPU time. */
import { setTimeout } from "node:timers/promises"
import { serve } from "./Child.ts"
import { type Client, type Contender, type Id, load } from "./Contender.ts"
import { type Answer, epoch } from "./Judge.ts"
import { type Call, firstHead, mix, plan, request } from "./Plan.ts"

let client: Client | undefined
/** The highest head that an answer has told. */
let told = firstHead
let unhandled = 0

// A failure that no caller can see would end the process. It is counted against the contender instead.
process.on("unhandledRejection", () => void unhandled++)

/** What is known of a contender before it has worked. */
export type About = Omit<Contender, "make"> & { readonly id: Id }

export interface Played {
  /** When, by {@link epoch}. */
  readonly began: number
  readonly answers: ReadonlyArray<Answer>
  /** CPU seconds. */
  readonly cpu: number
  /** Failures that no caller could see. */
  readonly unhandled: number
}

export interface Timed {
  readonly calls: number
  readonly failures: number
  readonly seconds: number
  /** CPU seconds. */
  readonly cpu: number
}

const asks = {
  open: async (id: Id, urls: ReadonlyArray<string>): Promise<About> => {
    const { make, ...about } = await load(id)
    client = make(urls)
    return { ...about, id }
  },

  /** Asks some at a time, as fast as they are answered, until all is asked or time is up. Gives how many failed. */
  work: async (seed: number, calls: number, callers: number, millis: number): Promise<number> => {
    const todo = mix(seed, calls)
    const until = performance.now() + millis
    let asked = 0
    let failures = 0
    const caller = async () => {
      while (asked < calls && performance.now() < until) if ("error" in (await ask(todo[asked++]!))) failures++
    }
    await Promise.all(Array.from({ length: callers }, caller))
    return failures
  },

  /** Asks by a plan, whether or not answers come. Ends when all have, or when the patience of the last has. */
  play: async (seed: number, perSecond: number, millis: number, patience: number): Promise<Played> => {
    const calls = plan(seed, perSecond, millis)
    const answers: Array<Answer> = calls.map(() => ({ floor: told, took: Infinity, error: "no answer" }))
    const began = epoch()
    const cpu = cpuSeconds()
    await new Promise<void>((resolve) => {
      let sent = 0
      let open = calls.length
      const send = async (n: number) => {
        const floor = told
        answers[n] = { floor, took: Infinity, error: "no answer" }
        const answer = await ask(calls[n]!)
        // From when it was due: a caller whose program is too busy to ask has waited all the same.
        answers[n] = { ...answer, floor, took: epoch() - began - calls[n]!.at }
        if (--open === 0) resolve()
      }
      const step = () => {
        const now = epoch() - began
        while (sent < calls.length && calls[sent]!.at <= now) void send(sent++)
        if (sent < calls.length) void setTimeout(calls[sent]!.at - now).then(step)
        else void setTimeout(patience).then(resolve)
      }
      step()
    })
    return { began, answers, cpu: cpuSeconds() - cpu, unhandled }
  },

  /** Asks some at a time, for a while to get going and then for a time that is measured. */
  time: async (seed: number, callers: number, lead: number, millis: number): Promise<Timed> => {
    const kinds = mix(seed, 4096)
    const counts = { asked: 0, done: 0, failed: 0 }
    const until = performance.now() + lead + millis
    const caller = async () => {
      while (performance.now() < until) {
        const n = counts.asked++
        const answer = await ask({ ...kinds[n % kinds.length]!, n })
        counts.done++
        if ("error" in answer) counts.failed++
      }
    }
    const all = Promise.all(Array.from({ length: callers }, caller))
    const now = () => ({ ...counts, at: performance.now() / 1000, cpu: cpuSeconds() })
    await setTimeout(lead)
    const from = now()
    await setTimeout(millis)
    const to = now()
    await all
    return {
      calls: to.done - from.done,
      failures: to.failed - from.failed,
      seconds: to.at - from.at,
      cpu: to.cpu - from.cpu
    }
  }
}

export type Asks = typeof asks

const ask = async (call: Call): Promise<{ readonly answer: unknown } | { readonly error: string }> => {
  try {
    const answer = brief(await client!.call(request(call, told)))
    told = Math.max(told, heightOf(answer, call) ?? 0)
    return { answer }
  } catch (error) {
    return { error: String((error as Error | undefined)?.message ?? error).split("\n", 1)[0]! }
  }
}

/** Of a block, its name. */
const brief = (answer: unknown): unknown => {
  if (typeof answer !== "object" || answer === null) return answer
  const { hash, number } = answer as { readonly hash?: unknown; readonly number?: unknown }
  return { hash, number }
}

/** The head that an answer tells of, if it does. */
const heightOf = (answer: unknown, { kind }: Call): number | undefined => {
  if (kind !== "head" && kind !== "latest") return undefined
  const height = Number(kind === "head" ? answer : (answer as { readonly number?: unknown } | null)?.number)
  return Number.isSafeInteger(height) ? height : undefined
}

const cpuSeconds = (): number => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1e6
}

serve(asks)
