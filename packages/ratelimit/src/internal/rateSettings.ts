// Reads the options of a rate limit: throws where they are given.
import { type JsonRpc, Options as Read, Outcome } from "@hawser/core"
import type * as Duration from "effect/Duration"
import type { Rate } from "./gcra.ts"
import { lineReaders } from "./line.ts"
import type { Shared } from "./remote.ts"

export const readWeight = Read.integer({ min: 0 })
export const readPause = Read.duration({ min: 0 })

const readRate = (owner: string, received: unknown): Rate => {
  const { burst, limit, window } = Read.read(owner, received, rateReaders)
  if (window > 366 * 86_400_000) Read.reject(`${owner}.window`, "at most 366 days", window)
  if (burst !== undefined && burst > 100 * limit) Read.reject(`${owner}.burst`, "at most 100 times the limit", burst)
  return { limit, window, burst: burst ?? Math.ceil(limit / 10) }
}

const rateReaders = {
  limit: Read.integer({ min: 1, max: 1e9 }),
  window: Read.duration(),
  burst: Read.integer({ min: 1, default: undefined })
}

const readRates = (option: string, received: unknown): ReadonlyArray<Rate> | undefined => {
  if (received === undefined) return undefined
  if (!Array.isArray(received) || received.length === 0) return Read.reject(option, "a list of limits", received)
  return received.map((rate, i) => readRate(`${option}[${i}]`, rate))
}

const readLearning = (option: string, received: unknown) =>
  received === undefined || received === false
    ? undefined
    : Read.read(option, received === true ? {} : received, learningReaders)

const learningReaders = {
  decrease: Read.number({ above: 0, max: 1, default: 0.7 }),
  recover: Read.number({ above: 0, max: 1, default: 0.05 }),
  floor: Read.number({ above: 0, max: 1, default: 0.1 }),
  when: Read.fn<(error: any) => boolean, undefined>({ default: undefined })
}

const readShared = (option: string, received: unknown): Shared | undefined => {
  if (received === undefined) return undefined
  return typeof received === "object" && received !== null && "quota" in received
    ? (received as Shared)
    : Read.reject(option, "what the `rateLimit` of a store gives", received)
}

const readers = {
  ...lineReaders,
  limit: Read.any<number>(),
  window: Read.any<Duration.Input>(),
  burst: Read.any<number>(),
  limits: readRates,
  maxPause: Read.duration({ min: 0, default: "60 seconds" }),
  learn: readLearning,
  judge: Read.fn<(error: any) => Outcome.Verdict>({ default: Outcome.of }),
  shared: readShared
}

export const makeReaders = { ...readers, name: Read.string({ default: "upstream" }) }

export const layerReaders = {
  ...readers,
  weight: Read.fn<(request: JsonRpc.Request) => number>({ default: () => 1 }),
  priority: Read.fn<(request: JsonRpc.Request) => number>({ default: () => 0 })
}

export type Settings = { readonly [K in keyof typeof readers]: ReturnType<(typeof readers)[K]> }

export const ratesOf = ({ burst, learn, limit, limits, shared, window }: Settings): ReadonlyArray<Rate> => {
  const single = limit !== undefined || window !== undefined || burst !== undefined
  if (single && limits !== undefined) Read.reject("RateLimit.limits", "no value beside limit, window and burst", limits)
  const rates = single ? [readRate("RateLimit", { limit, window, burst })] : (limits ?? [])
  if (learn !== undefined && rates.length === 0) Read.reject("RateLimit.learn", "a limit to learn about", learn)
  if (shared !== undefined && rates.length === 0) Read.reject("RateLimit.shared", "a limit to share", shared)
  if (shared !== undefined && learn !== undefined) Read.reject("RateLimit.learn", "no value beside shared", learn)
  return rates
}
