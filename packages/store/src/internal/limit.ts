/**
 * A rate limit in one key: GCRA for each window, taken all or nothing, and the pause that the upstream asked for.
 *
 * It counts like the limit of `@hawser/ratelimit`: in ticks of at most a microsecond, chosen such that `limit`
 * emissions take `window` exactly, so that nothing is rounded and nothing drifts.
 *
 * Whoever takes gets a permit, a number that grows with each take and is never behind the clock, and the moment at which
 * its slot begins. A hint from a permit older than the last pause is late news. What was taken can be given back exactly
 * if nothing was taken since, or while its slot has not begun: until then the bucket has not been full, so that
 * whatever was taken since would have passed without it as well.
 */
import type { RateLimit } from "@hawser/ratelimit"
import { header, type Program } from "./program.ts"

// After the header: a tat for each rate comes last.
const origin = header
const permit = header + 1
const pausedUntil = header + 2
const pausedAfter = header + 3
const tats = header + 4

/** How long a pause is remembered after its end, for hints that come late. */
const grace = 60e6

/** What a program must know of the rates: three numbers each. */
export const argsOf = (rates: ReadonlyArray<RateLimit.Rate>): ReadonlyArray<number> =>
  rates.flatMap(({ burst, limit, window }) => [limit, Math.round(window * 1000), burst])

interface Ticks {
  readonly burst: number
  /** Ticks for each unit of weight. */
  readonly cost: number
  readonly perMicro: number
}

const ticksOf = (args: ReadonlyArray<number>, skip: number): ReadonlyArray<Ticks> =>
  Array.from({ length: (args.length - skip) / 3 }, (_, i) => {
    const [limit, window, burst] = args.slice(skip + 3 * i) as [number, number, number]
    const cost = Math.ceil(window / limit)
    return { burst, cost, perMicro: (cost * limit) / window }
  })

// The thousandth makes up for what floating point loses of a product that should be whole.
const tickAt = (s: ReadonlyArray<number>, time: number, { perMicro }: Ticks): number =>
  Math.floor((time - s[origin]!) * perMicro + 0.001)

const prepare = (s: Array<number>, fresh: boolean, time: number, n: number): void => {
  if (fresh || s.length !== tats + n) {
    s.length = header
    s.push(time, time, time, -1, ...Array.from({ length: n }, () => 0))
  }
}

const ttlOf = (s: ReadonlyArray<number>, time: number, rates: ReadonlyArray<Ticks>): number =>
  rates.reduce(
    (ttl, rate, i) => Math.max(ttl, Math.ceil((s[tats + i]! - tickAt(s, time, rate)) / rate.perMicro)),
    s[pausedAfter]! < 0 ? 0 : Math.max(0, s[pausedUntil]! + grace - time)
  )

const lua = (skip: number, body: string): string => `
local rates = {}
for i = 1, (#args - ${skip}) / 3 do
  local limit, window, burst = args[${skip} + 3 * i - 2], args[${skip} + 3 * i - 1], args[${skip} + 3 * i]
  local cost = math.ceil(window / limit)
  rates[i] = { burst = burst, cost = cost, perMicro = (cost * limit) / window }
end
if fresh or #s ~= ${tats} + #rates then
  for i = #s, 3, -1 do s[i] = nil end
  s[3], s[4], s[5], s[6] = time, time, time, -1
  for i = 1, #rates do s[${tats} + i] = 0 end
end
local function tickAt(time, rate) return math.floor((time - s[3]) * rate.perMicro + 0.001) end
local function ttlOf()
  local ttl = 0
  if s[6] >= 0 then ttl = math.max(0, s[5] + ${grace} - time) end
  for i, rate in ipairs(rates) do
    ttl = math.max(ttl, math.ceil((s[${tats} + i] - tickAt(time, rate)) / rate.perMicro))
  end
  return ttl
end
${body}`

/** `[weight, ...rates]` gives the wait, what is left of the pause, the permit, its slot, and what is left in the bucket. */
export const take: Program = {
  run(s, fresh, time, args) {
    const rates = ticksOf(args, 1)
    const weight = args[0]!
    prepare(s, fresh, time, rates.length)
    const pause = Math.max(0, s[pausedUntil]! - time)
    let wait = pause
    let full = true
    for (const [i, rate] of rates.entries()) {
      const tick = tickAt(s, time + pause, rate)
      const due = Math.max(s[tats + i]!, tick) + (weight - Math.max(weight, rate.burst)) * rate.cost
      if (due > tick) wait = Math.max(wait, s[origin]! + Math.ceil((due - 0.001) / rate.perMicro) - time)
      if (s[tats + i]! > tickAt(s, time, rate)) full = false
    }
    // What is full has no past: the origin moves on, and the numbers stay small.
    if (wait === 0 && full) {
      s[origin] = time
      s.fill(0, tats)
    }
    let slot = Infinity
    let left = Infinity
    for (const [i, rate] of rates.entries()) {
      const tick = tickAt(s, time, rate)
      const start = Math.max(s[tats + i]!, tick)
      const tat = wait === 0 ? start + weight * rate.cost : start
      if (wait === 0) s[tats + i] = tat
      slot = Math.min(slot, s[origin]! + Math.floor(start / rate.perMicro))
      left = Math.min(left, Math.floor(rate.burst - (tat - tick) / rate.cost))
    }
    if (wait === 0) s[permit] = Math.max(s[permit]! + 1, time)
    return { keep: wait === 0, ttl: ttlOf(s, time, rates), reply: [wait, pause, s[permit]!, slot, left] }
  },
  lua: lua(
    1,
    `local weight = args[1]
local pause = math.max(0, s[5] - time)
local wait, full = pause, true
for i, rate in ipairs(rates) do
  local tick = tickAt(time + pause, rate)
  local due = math.max(s[${tats} + i], tick) + (weight - math.max(weight, rate.burst)) * rate.cost
  if due > tick then wait = math.max(wait, s[3] + math.ceil((due - 0.001) / rate.perMicro) - time) end
  if s[${tats} + i] > tickAt(time, rate) then full = false end
end
if wait == 0 and full then
  s[3] = time
  for i = 1, #rates do s[${tats} + i] = 0 end
end
local slot, left = math.huge, math.huge
for i, rate in ipairs(rates) do
  local tick = tickAt(time, rate)
  local start = math.max(s[${tats} + i], tick)
  local tat = start
  if wait == 0 then
    tat = start + weight * rate.cost
    s[${tats} + i] = tat
  end
  slot = math.min(slot, s[3] + math.floor(start / rate.perMicro))
  left = math.min(left, math.floor(rate.burst - (tat - tick) / rate.cost))
end
if wait == 0 then s[4] = math.max(s[4] + 1, time) end
return wait == 0, ttlOf(), { wait, pause, s[4], slot, left }`
  )
}

/** `[weight, permit, slot, ...rates]` gives 1 if it was given back. */
export const undo: Program = {
  run(s, fresh, time, args) {
    const rates = ticksOf(args, 3)
    const [weight, taken, slot] = args as [number, number, number]
    prepare(s, fresh, time, rates.length)
    const last = s[permit] === taken
    // A permit from before the origin is of another life of this key.
    const exact = !fresh && (last || (taken >= s[origin]! && time < slot))
    if (exact) {
      for (const [i, rate] of rates.entries()) s[tats + i]! -= weight * rate.cost
      // Not twice.
      if (last) s[permit]!++
    }
    return { keep: exact, ttl: ttlOf(s, time, rates), reply: [exact ? 1 : 0] }
  },
  lua: lua(
    3,
    `local last = s[4] == args[2]
local exact = not fresh and (last or (args[2] >= s[3] and time < args[3]))
if exact then
  for i, rate in ipairs(rates) do s[${tats} + i] = s[${tats} + i] - args[1] * rate.cost end
  if last then s[4] = s[4] + 1 end
end
return exact, ttlOf(), { exact and 1 or 0 }`
  )
}

/** `[duration, permit, ...rates]` gives what is left of the pause. */
export const pause: Program = {
  run(s, fresh, time, args) {
    const rates = ticksOf(args, 2)
    const [duration, taken] = args as [number, number]
    prepare(s, fresh, time, rates.length)
    const news = taken > s[pausedAfter]!
    if (news) {
      s[pausedUntil] = time + duration
      s[pausedAfter] = s[permit]!
    }
    return { keep: news, ttl: ttlOf(s, time, rates), reply: [Math.max(0, s[pausedUntil]! - time)] }
  },
  lua: lua(
    2,
    `local news = args[2] > s[6]
if news then
  s[5] = time + args[1]
  s[6] = s[4]
end
return news, ttlOf(), { math.max(0, s[5] - time) }`
  )
}
