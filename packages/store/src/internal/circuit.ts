/**
 * What the breakers of several processes know in common, in one key: that the circuit is open and until when, who
 * probes, and since when it is closed again. What led to it, each of them counts for itself.
 *
 * An open circuit whose time is over is half-open. Each opening and each closing begins an epoch, a number that is never
 * behind the clock; what belongs to an earlier one changes nothing. A probe has a lease: it loses its place when that is
 * over, so that a process that dies with it cannot wedge the circuit.
 */
import { header, type Program, type Result } from "./program.ts"

// After the header; then two for each lease: the number its holder gave it, and its end.
const epoch = header
const isOpen = header + 1
const until = header + 2
const openings = header + 3
const openedFor = header + 4
const successes = header + 5
const leases = header + 6

/** How long after it has last meant something the state is kept. */
const idle = 600e6

/** A probe that has just been let through says nothing for at least as long. */
const leastWait = 50e3

const prepare = (s: Array<number>, fresh: boolean): void => {
  if (!fresh && s.length >= leases && (s.length - leases) % 2 === 0) return
  s.length = header
  s.push(0, 0, 0, 0, 0, 0)
}

const enter = (s: Array<number>, time: number, open: boolean): void => {
  s.length = leases
  s[epoch] = Math.max(s[epoch]! + 1, time)
  s[isOpen] = open ? 1 : 0
  s[successes] = 0
}

const open = (s: Array<number>, time: number, duration: number, count: number): void => {
  enter(s, time, true)
  s[until] = time + duration
  s[openings] = count
  s[openedFor] = duration
}

const tell = (s: ReadonlyArray<number>, time: number, keep: boolean, lease = 0, wait = 0): Result => {
  const remaining = s[isOpen] === 1 ? Math.max(0, s[until]! - time) : 0
  return {
    keep,
    ttl: (s[isOpen] === 1 ? remaining : s[openedFor]!) + idle,
    reply: [s[epoch]!, s[isOpen]!, remaining, s[openings]!, s[openedFor]!, s[successes]!, lease, wait]
  }
}

type Tuple = [number, number, number, number, number, number, number]

const lua = (body: string): string => `
if fresh or #s < ${leases} or (#s - ${leases}) % 2 ~= 0 then
  for i = #s, 3, -1 do s[i] = nil end
  for i = 3, ${leases} do s[i] = 0 end
end
local function enter(open)
  for i = #s, ${leases + 1}, -1 do s[i] = nil end
  s[3] = math.max(s[3] + 1, time)
  s[4] = open
  s[8] = 0
end
local function open(duration, count)
  enter(1)
  s[5] = time + duration
  s[6] = count
  s[7] = duration
end
local function tell(keep, lease, wait)
  local remaining = s[4] == 1 and math.max(0, s[5] - time) or 0
  local ttl = (s[4] == 1 and remaining or s[7]) + ${idle}
  return keep, ttl, { s[3], s[4], remaining, s[6], s[7], s[8], lease or 0, wait or 0 }
end
${body}`

/** `[]` changes nothing. Every program of a circuit gives what {@link read} gives. */
export const read: Program = {
  run(s, fresh, time) {
    prepare(s, fresh)
    return tell(s, time, false)
  },
  lua: lua("return tell(false)")
}

/** `[duration, openings]` opens the circuit, unless it is open. */
export const trip: Program = {
  run(s, fresh, time, args) {
    prepare(s, fresh)
    const isNews = s[isOpen] === 0 || s[until]! <= time
    if (isNews) open(s, time, args[0]!, args[1]!)
    return tell(s, time, isNews)
  },
  lua: lua(`
local isNews = s[4] == 0 or s[5] <= time
if isNews then open(args[1], args[2]) end
return tell(isNews)`)
}

/**
 * `[lease, force, seen, probes, duration, openings, openedFor]` asks for a probe's place, to be held under the number
 * `lease` for `duration`. With force 1 one probe passes an open circuit; with 2 a health check has found that the circuit
 * of the epoch `seen` may be probed at once. A circuit of which nobody knows anything is what its caller says: open, and
 * its time is over.
 */
export const probe: Program = {
  run(s, fresh, time, args) {
    prepare(s, fresh)
    const [lease, force, seen, probes, duration, count, lasted] = args as Tuple
    if (s[epoch] === 0) {
      open(s, time, 0, count)
      s[openedFor] = lasted
    }
    if (s[isOpen] === 0) return tell(s, time, false)
    if (force === 2 && seen === s[epoch] && s[until]! > time) s[until] = time
    const early = s[until]! > time
    if (early && force !== 1) return tell(s, time, false)
    for (let i = s.length - 2; i >= leases; i -= 2) if (s[i + 1]! <= time) s.splice(i, 2)
    const held = (s.length - leases) / 2
    if (held >= (early ? 1 : probes - s[successes]!)) {
      const end = s[leases + 1] ?? time + duration
      return tell(s, time, false, 0, Math.min(end - time, Math.max(time - (end - duration), leastWait)))
    }
    s.push(lease, time + duration)
    return tell(s, time, true, lease)
  },
  lua: lua(`
local lease, force, seen, probes, duration = args[1], args[2], args[3], args[4], args[5]
if s[3] == 0 then
  open(0, args[6])
  s[7] = args[7]
end
if s[4] == 0 then return tell(false) end
if force == 2 and seen == s[3] and s[5] > time then s[5] = time end
local early = s[5] > time
if early and force ~= 1 then return tell(false) end
for i = #s - 1, ${leases + 1}, -2 do
  if s[i + 1] <= time then
    table.remove(s, i + 1)
    table.remove(s, i)
  end
end
local held = (#s - ${leases}) / 2
if held >= (early and 1 or probes - s[8]) then
  local stop = s[${leases + 2}] or time + duration
  return tell(false, 0, math.min(stop - time, math.max(time - (stop - duration), ${leastWait})))
end
s[#s + 1] = lease
s[#s + 1] = time + duration
return tell(true, lease)`)
}

export const neutral = 0
export const success = 1
export const failure = 2

/**
 * `[lease, outcome, successes, duration, openings]` gives a probe's place back: enough successes close the
 * circuit, a failure opens it again. A lease that is not held any more changes nothing, and is not told back.
 */
export const settle: Program = {
  run(s, fresh, time, args) {
    prepare(s, fresh)
    const [lease, outcome, needed, duration, count] = args as Tuple
    let at = -1
    for (let i = leases; i < s.length; i += 2) if (s[i] === lease) at = i
    if (at < 0) return tell(s, time, false)
    s.splice(at, 2)
    if (outcome === success) {
      // It works: who had to wait for the end need not any more.
      s[until] = Math.min(s[until]!, time)
      if (++s[successes]! >= needed) enter(s, time, false)
    } else if (outcome === failure && s[until]! <= time) open(s, time, duration, count)
    return tell(s, time, true, lease)
  },
  lua: lua(`
local at
for i = ${leases + 1}, #s, 2 do if s[i] == args[1] then at = i end end
if not at then return tell(false) end
table.remove(s, at + 1)
table.remove(s, at)
if args[2] == ${success} then
  s[5] = math.min(s[5], time)
  s[8] = s[8] + 1
  if s[8] >= args[3] then enter(0) end
elseif args[2] == ${failure} and s[5] <= time then
  open(args[4], args[5])
end
return tell(true, args[1])`)
}
