// How long something may take: one time for all requests, or what a function makes of each.
import { Options as Read } from "@hawser/core"
import type * as Duration from "effect/Duration"

/** A time, or what a function makes of what is to be done. */
export type Limit<A> = Duration.Input | ((job: A) => Duration.Input)

/** Reads a limit. A constant is read at once; a text that a function gives is read once, for reading it takes longer than all else. */
export const readLimit = <A>(option: string, limit: Limit<A>): ((job: A) => number) => {
  const read = Read.duration({ infinite: true })
  if (typeof limit !== "function") {
    const millis = read(option, limit)
    return () => millis
  }
  const texts = new Map<string, number>()
  return (job) => {
    const given = limit(job)
    if (typeof given !== "string") return read(option, given)
    const known = texts.get(given)
    if (known !== undefined) return known
    const millis = read(option, given)
    // A function that invents them without end gets no memory leak from it.
    if (texts.size >= 100) texts.clear()
    texts.set(given, millis)
    return millis
  }
}
