// Reads the options of a concurrency limit: throws where they are given.
import { type JsonRpc, Options as Read } from "@hawser/core"
import type { AdaptiveOptions, Sample } from "./adaptive.ts"
import { lineReaders } from "./line.ts"

const readers = {
  ...lineReaders,
  limit: Read.integer({ min: 1 }),
  adaptive: (option: string, received: unknown) =>
    received === undefined || received === false
      ? undefined
      : Read.read(option, received === true ? {} : received, adaptiveReaders)
}

const adaptiveReaders = {
  algorithm: Read.oneOf(["aimd", "gradient"], "aimd"),
  min: Read.integer({ min: 1, default: 1 }),
  max: Read.integer({ min: 1, default: undefined }),
  decrease: Read.number({ above: 0, max: 1, default: 0.9 }),
  window: Read.duration({ default: "1 second" }),
  sample: Read.fn<(error: any) => Sample, undefined>({ default: undefined })
}

export const makeReaders = { ...readers, name: Read.string({ default: "upstream" }) }

export const layerReaders = {
  ...readers,
  classOf: Read.fn<(request: JsonRpc.Request) => string>({ default: (request) => request.method }),
  priority: Read.fn<(request: JsonRpc.Request) => number>({ default: () => 0 })
}

export type Settings = { readonly [K in keyof typeof readers]: ReturnType<(typeof readers)[K]> }

export interface AdaptiveSettings extends AdaptiveOptions {
  readonly algorithm: "aimd" | "gradient"
  readonly sample: ((error: any) => Sample) | undefined
}

export const adaptiveOf = ({ adaptive, limit }: Settings): AdaptiveSettings | undefined => {
  if (adaptive === undefined) return undefined
  const { min, max = Math.max(200, 10 * limit), ...rest } = adaptive
  if (limit < min || limit > max) Read.reject("Concurrency.limit", `a number from min to max (${min} to ${max})`, limit)
  return { ...rest, initial: limit, min, max }
}
