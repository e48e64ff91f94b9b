/**
 * A cache in Redis without a list of what belongs to a tag. Each tag has a version, a random word, and so has the cache as
 * a whole; an entry keeps those it was written under and is believed only while they are the same. Invalidating a tag
 * deletes its version. So does a server that runs out of memory: what it forgets is a miss, never an old value.
 *
 * Each command touches one key, and those of one operation are sent at once.
 */
import type { ResponseCache } from "@hawser/cache"
import * as Effect from "effect/Effect"
import { apart, type CacheOf } from "./assemble.ts"
import { scriptOf, type Send, storeError } from "./redis.ts"

// Gives the version of a tag, a new one if it has none, and keeps it at least for as long as the entry. 0: for ever.
const versionScript = `
local version = redis.call("GET", KEYS[1])
local left = redis.call("PTTL", KEYS[1])
local ttl = tonumber(ARGV[2])
if not version then
  version = ARGV[1]
elseif left == -1 or (ttl > 0 and left >= ttl) then
  return version
end
if ttl > 0 then
  redis.call("SET", KEYS[1], version, "PX", ARGV[2])
else
  redis.call("SET", KEYS[1], version)
end
return version
`

interface Written {
  /** The cache's own first, then those of the tags. */
  readonly versions: ReadonlyArray<string>
  readonly entry: ResponseCache.Stored
}

const all = { concurrency: "unbounded" } as const

export const cacheOf =
  (send: Send, prefix: string, word: () => string): CacheOf =>
  (name, maxEntryBytes) => {
    const root = `${prefix}cache:${apart(name)}`
    const whole = `${root}v`
    const entryKey = (key: string) => `${root}e:${key}`
    const tagKey = (tag: string) => `${root}t:${tag}`
    const command = (verb: string, key: string, ...args: ReadonlyArray<string>) =>
      Effect.mapError(send([verb, key, ...args], key), storeError)
    const versionOf = scriptOf(send, versionScript)

    const areCurrent = ({ entry, versions }: Written) =>
      entry.tags.length === 0
        ? Effect.succeed(true)
        : Effect.map(
            Effect.forEach(entry.tags, (tag) => command("GET", tagKey(tag)), all),
            (current) => current.every((version, i) => textOf(version) === versions[i + 1])
          )

    return {
      get: (key) =>
        Effect.flatMap(Effect.all([command("GET", entryKey(key)), command("GET", whole)], all), ([text, version]) => {
          const written = parse(textOf(text))
          if (written === undefined || textOf(version) !== written.versions[0]) return Effect.undefined
          return Effect.map(areCurrent(written), (current) => (current ? written.entry : undefined))
        }),
      set: (key, entry, ttl) =>
        Effect.suspend(() => {
          const millis = String(Math.max(1, Math.ceil(ttl)))
          const asked = [
            versionOf(whole, [word(), "0"]),
            ...entry.tags.map((tag) => versionOf(tagKey(tag), [word(), millis]))
          ]
          return Effect.flatMap(Effect.all(asked, all), (versions) => {
            const text = JSON.stringify({ versions: versions.map(textOf), entry })
            return Buffer.byteLength(text) > maxEntryBytes
              ? command("DEL", entryKey(key))
              : command("SET", entryKey(key), text, "PX", millis)
          })
        }),
      invalidate: (key) => command("DEL", entryKey(key)),
      invalidateTag: (tag) => command("DEL", tagKey(tag)),
      clear: () => command("DEL", whole)
    }
  }

// Some clients give texts as bytes.
const textOf = (reply: unknown): string | undefined => {
  if (typeof reply === "string") return reply
  return reply instanceof Uint8Array ? new TextDecoder().decode(reply) : undefined
}

// What another version of this package wrote, or something else altogether, is a miss.
const parse = (text: string | undefined): Written | undefined => {
  if (text === undefined) return undefined
  try {
    const written = JSON.parse(text) as Written
    const { tags } = written.entry
    return Array.isArray(tags) && written.versions.length === tags.length + 1 ? written : undefined
  } catch {
    return undefined
  }
}
