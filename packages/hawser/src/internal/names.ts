import { type JsonRpc, Options as Read } from "@hawser/core"
import type { Http } from "@hawser/rpc"
import * as Layer from "effect/Layer"
import type { Particulars } from "../Stack.ts"

/** An upstream as it was given, with a name: by its URL or by its layer. */
export interface Given extends Particulars {
  readonly name: string
  readonly url: string | URL | undefined
  readonly headers: Readonly<Record<string, string>> | undefined
  readonly batch: boolean | Http.BatchOptions | undefined
  readonly layer: Layer.Layer<JsonRpc.Upstream<unknown>> | undefined
}

/** Reads the list of upstreams and gives each a name: the host, then `host#2`, unless it has one. */
export const upstreams: Read.Reader<ReadonlyArray<Given>> = (option, received) => {
  if (!Array.isArray(received) || received.length === 0) {
    return Read.reject(option, "a list of at least one URL or upstream", received)
  }
  const taken = new Map<string, number>()
  return received.map((given: unknown, i) => {
    const path = `${option}[${i}]`
    const upstream = readUpstream(path, given)
    const base = upstream.name ?? (upstream.layer === undefined ? hostOf(path, upstream.url) : "upstream")
    const count = (taken.get(base) ?? 0) + 1
    taken.set(base, count)
    return { ...upstream, name: count === 1 ? base : `${base}#${count}` }
  })
}

const readUpstream = (path: string, given: unknown) => {
  const record =
    typeof given === "string" || given instanceof URL ? { url: given } : Layer.isLayer(given) ? { layer: given } : given
  if (typeof record !== "object" || record === null) {
    return Read.reject(path, "a URL, a layer, or a record with either", given)
  }
  const upstream = Read.read(path, record, {
    url: Read.any<string | URL>(),
    headers: Read.any<Given["headers"]>(),
    batch: Read.any<Given["batch"]>(),
    layer: Read.any<Layer.Layer<JsonRpc.Upstream<unknown>>>(),
    name: Read.string({ default: undefined }),
    tier: Read.integer({ min: 0, default: undefined }),
    weight: Read.number({ above: 0, default: undefined }),
    capacity: Read.integer({ min: 1, default: undefined }),
    rateLimit: Read.any<Given["rateLimit"]>(),
    concurrency: Read.any<Given["concurrency"]>(),
    timeout: Read.any<Given["timeout"]>(),
    methods: Read.any<Given["methods"]>()
  })
  if (upstream.layer === undefined) hostOf(record === given ? `${path}.url` : path, upstream.url)
  else if (!Layer.isLayer(upstream.layer)) Read.reject(`${path}.layer`, "a layer of an upstream", upstream.layer)
  return upstream
}

const hostOf = (path: string, url: unknown): string => {
  const parsed = url instanceof URL ? url : typeof url === "string" && URL.canParse(url) ? new URL(url) : undefined
  if (parsed !== undefined && /^(?:http|ws)s?:$/.test(parsed.protocol)) return parsed.host
  // The text may hold a key, so it is not repeated.
  return Read.reject(
    path,
    'an http:, https:, ws: or wss: URL such as "https://eth.example"',
    typeof url === "string" ? Read.hidden : url
  )
}
