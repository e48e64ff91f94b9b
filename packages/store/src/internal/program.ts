/**
 * What is done to the state of one key: alone, at the time of whoever keeps it.
 *
 * A program is written twice, in TypeScript for what is kept in this process or in a file, and in Lua for Redis. Both
 * say the same in whole numbers: times are microseconds, `true` is 1.
 */
import type * as Effect from "effect/Effect"
import type { StoreError } from "../Store.ts"

export interface Program {
  /**
   * `state` is what the last run left, changed in place; `fresh` if there is none. Both begin with the header, which
   * is not the program's.
   */
  readonly run: (state: Array<number>, fresh: boolean, time: number, args: ReadonlyArray<number>) => Result
  /** The body of `function (s, fresh, time, args)`, which returns `keep, ttl, reply`. Lists begin at 1. */
  readonly lua: string
}

export interface Result {
  /** Whether the state has changed. */
  readonly keep: boolean
  /** How long the state means anything. */
  readonly ttl: number
  readonly reply: ReadonlyArray<number>
}

/** Where state is kept. */
export interface States {
  readonly run: (
    program: Program,
    key: string,
    args: ReadonlyArray<number>
  ) => Effect.Effect<ReadonlyArray<number>, StoreError>
}

/**
 * Every state begins with the latest time it has seen and how far the clock has been set back since: a clock that is
 * set back stands still until it catches up with itself, and no time passes twice.
 */
export const header = 2

/** Runs a program in this process. Gives the state to keep, `undefined` if it is unchanged. */
export const step = (
  program: Program,
  text: string | undefined,
  now: number,
  args: ReadonlyArray<number>
): { readonly text: string | undefined; readonly ttl: number; readonly reply: ReadonlyArray<number> } => {
  let state = text === undefined ? [] : text.split(" ").map(Number)
  const fresh = state.length < header || !state.every(Number.isSafeInteger)
  if (fresh) state = [now, 0]
  let time = now + state[1]!
  const setBack = time < state[0]!
  if (setBack) {
    state[1]! += state[0]! - time
    time = state[0]!
  }
  state[0] = time
  const { keep, reply, ttl } = program.run(state, fresh, time, args)
  return { text: keep || setBack ? state.join(" ") : undefined, ttl, reply }
}

/** The time by which Redis goes, and what an entry's time to live becomes. */
export interface LuaClock {
  readonly now: string
  readonly ttl: string
}

export const serverTime: LuaClock = {
  now: `local clock = redis.call("TIME")
local now = clock[1] * 1000000 + clock[2]`,
  ttl: "math.ceil(ttl / 1000) + 1"
}

/** The script that runs a program in Redis: one key, one round trip. */
export const luaOf = (program: Program, clock: LuaClock): string => `
local args = {}
for i = 1, #ARGV do args[i] = tonumber(ARGV[i]) end
${clock.now}
local text = redis.call("GET", KEYS[1])
local s = {}
if text then for word in string.gmatch(text, "%S+") do s[#s + 1] = tonumber(word) end end
local fresh = #s < ${header}
if fresh then s = { now, 0 } end
local time = now + s[2]
local setBack = time < s[1]
if setBack then
  s[2] = s[2] + s[1] - time
  time = s[1]
end
s[1] = time
local function program(s, fresh, time, args)
${program.lua}
end
local keep, ttl, reply = program(s, fresh, time, args)
if keep or setBack then
  for i = 1, #s do s[i] = string.format("%.0f", s[i]) end
  redis.call("SET", KEYS[1], table.concat(s, " "), "PX", string.format("%.0f", ${clock.ttl}))
end
for i = 1, #reply do reply[i] = string.format("%.0f", reply[i]) end
return reply
`
