import { Options as Read } from "@hawser/core"
import type { Upstream } from "../Stack.ts"

export type Named<U> = U & { readonly name: string }

/** Reads the list of upstreams and gives each a name: the host, then `host#2`, unless it has one. */
export const upstreams: Read.Reader<ReadonlyArray<Named<Upstream>>> = (option, received) => {
  if (!Array.isArray(received) || received.length === 0) {
    return Read.reject(option, "a list of at least one URL or upstream", received)
  }
  const taken = new Map<string, number>()
  return received.map((given: unknown, i) => {
    const path = `${option}[${i}]`
    const upstream = readUpstream(path, given)
    const base = upstream.name ?? hostOf(path, upstream.url)
    const count = (taken.get(base) ?? 0) + 1
    taken.set(base, count)
    return { ...upstream, name: count === 1 ? base : `${base}#${count}` }
  })
}

const readUpstream = (path: string, given: unknown): Upstream => {
  if (typeof given === "string" || given instanceof URL) return { url: given }
  if (typeof given !== "object" || given === null) return Read.reject(path, "a URL, or a record with a url", given)
  return Read.read(path, given, {
    url: (option, url) => {
      hostOf(option, url)
      return url as string | URL
    },
    name: Read.string({ default: undefined }),
    tier: Read.integer({ min: 0, default: undefined }),
    weight: Read.number({ above: 0, default: undefined }),
    headers: Read.any<Upstream["headers"]>(),
    rateLimit: Read.any<Upstream["rateLimit"]>(),
    concurrency: Read.any<Upstream["concurrency"]>(),
    timeout: Read.any<Upstream["timeout"]>(),
    methods: Read.any<Upstream["methods"]>()
  })
}

const hostOf = (path: string, url: unknown): string => {
  if (url instanceof URL) return url.host
  if (typeof url === "string" && URL.canParse(url)) return new URL(url).host
  // The text may hold a key, so it is not repeated.
  return Read.reject(
    path,
    'an http: or https: URL such as "https://eth.example"',
    typeof url === "string" ? Read.hidden : url
  )
}
