import { type JsonRpc, Options as Read, Outcome } from "@hawser/core"
import * as Layer from "effect/Layer"
import type * as UpstreamPool from "../UpstreamPool.ts"
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

const readMember = <U>(member: { readonly upstream: U }): Spec<U> =>
  Read.read("UpstreamPool.upstreams", member, {
    name: Read.string({ default: "upstream" }),
    upstream: Read.any<U>(),
    tier: Read.integer({ min: 0, default: 0 }),
    weight: Read.number({ above: 0, default: 1 }),
    capacity: readCapacity
  }) as Spec<U>

export type UpstreamLayer = Layer.Layer<JsonRpc.Upstream<any>>

/** Upstreams as a layer takes them; their names are known when they are built. */
export const readLayers = (given: ReadonlyArray<UpstreamPool.Upstream>): ReadonlyArray<Spec<UpstreamLayer>> => {
  if (given.length === 0) Read.reject("UpstreamPool.upstreams", "at least one upstream", given)
  return given.map((one, i) => readMember(memberOf(one, i)))
}

const memberOf = (given: UpstreamPool.Upstream, i: number): { readonly upstream: UpstreamLayer } => {
  if (Layer.isLayer(given)) return { upstream: given as UpstreamLayer }
  return typeof given === "object" && given !== null
    ? (given as { readonly upstream: UpstreamLayer })
    : Read.reject(`UpstreamPool.upstreams[${i}]`, "a layer of an upstream, or a record with one", Read.hidden)
}

export type LayerQuorum = ReturnType<typeof readQuorum>

export const readQuorum = (given: UpstreamPool.LayerQuorum) => {
  const quorum = Read.read("UpstreamPool.quorum", given, {
    of: Read.integer({ min: 1 }),
    agree: Read.integer({ min: 1 }),
    equal: Read.fn<NonNullable<UpstreamPool.Quorum["equal"]>, undefined>({ default: undefined }),
    only: Read.fn<NonNullable<UpstreamPool.LayerQuorum["only"]>>({ default: () => true })
  })
  if (quorum.agree > quorum.of)
    Read.reject("UpstreamPool.quorum.agree", `a whole number up to ${quorum.of}`, quorum.agree)
  return quorum
}
