import { Options as Read, Outcome } from "@hawser/core"
import type { Rules } from "./ejection.ts"
import type { Spec } from "./member.ts"

export type Settings = ReturnType<typeof readOptions>

export const readOptions = (options: unknown) =>
  Read.read("UpstreamPool", options, {
    balance: Read.oneOf(["latency", "weight"], "latency"),
    decay: Read.duration({ default: "10 seconds" }),
    penalty: Read.duration({ default: "5 seconds" }),
    overflow: Read.number({ min: 1, default: 1.4 }),
    slowStart: Read.duration({ min: 0, default: 0 }),
    ejection: readEjection,
    gather: Read.boolean({ default: false }),
    outage: Read.oneOf(["wait", "fail"], "wait"),
    panic: Read.number({ min: 0, max: 1, default: 0.5 }),
    judge: Read.fn<(error: any) => Outcome.Verdict>({ default: Outcome.of })
  })

const readEjection: Read.Reader<Rules | undefined> = (option, received) => {
  if (received === undefined || received === false) return undefined
  return Read.read(option, received === true ? {} : received, {
    consecutive: Read.integer({ min: 1, default: 5 }),
    rate: Read.number({ above: 0, max: 1, default: 0.5 }),
    minimum: Read.integer({ min: 1, default: 20 }),
    interval: Read.duration({ default: "10 seconds" }),
    base: Read.duration({ default: "30 seconds" }),
    max: Read.duration({ default: "5 minutes" }),
    jitter: Read.number({ min: 0, max: 1, default: 0.1 }),
    share: Read.number({ min: 0, max: 1, default: 0.5 })
  })
}

export const readMembers = <U>(given: ReadonlyArray<{ readonly upstream: U }>): ReadonlyArray<Spec<U>> => {
  if (given.length === 0) Read.reject("UpstreamPool.upstreams", "at least one upstream", given)
  const specs = given.map((member) => readMember(member))
  const names = new Set(specs.map(({ name }) => name))
  if (names.size < specs.length) Read.reject("UpstreamPool.upstreams", "upstreams with names of their own", given)
  return specs
}

const readCapacity: Read.Reader<number> = (option, received) =>
  Read.integer({ min: 1, default: undefined })(option, received) ?? Infinity

export const readMember = <U>(member: { readonly upstream: U }): Spec<U> =>
  Read.read("UpstreamPool.upstreams", member, {
    name: Read.string({ default: "upstream" }),
    upstream: Read.any<U>(),
    tier: Read.integer({ min: 0, default: 0 }),
    weight: Read.number({ above: 0, default: 1 }),
    capacity: readCapacity
  }) as Spec<U>
