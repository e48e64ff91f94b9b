/** What the command line and the environment ask for. */
import * as Data from "effect/Data"
import * as Result from "effect/Result"

export interface Settings {
  /** Ends after the summary, with a status that says whether the promise was kept. */
  readonly once: boolean
  /** Where to listen. `undefined`: 8080, or the next port that is free. */
  readonly port: number | undefined
  /** The user's own upstreams. `undefined`: three local nodes, and a storm. */
  readonly upstreams: ReadonlyArray<string> | undefined
}

/** One line for the user. Never repeats a URL, which may hold a key. */
export class UsageError extends Data.TaggedError("UsageError")<{ readonly message: string }> {}

export const usage = `usage: npm run demo [-- --once]

  --once              ends after the storm: status 0 if the service kept its promise, 1 if not
  PORT=8080           the port to listen on (default: 8080, or the next that is free)
  HAWSER_UPSTREAMS=…  your own upstreams, separated by commas, in place of the storm`

export const read = (
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string | undefined>>
): Result.Result<Settings, UsageError> => {
  const unknown = args.find((arg) => arg !== "--once")
  if (unknown !== undefined) {
    // An argument may be a URL that was meant for HAWSER_UPSTREAMS.
    const shown = /^-{0,2}[a-z]{1,20}$/i.test(unknown) ? ` ${unknown}` : ""
    return wrong(`unknown argument${shown}: the only one is --once (see --help)`)
  }
  const once = args.length > 0
  const port = env["PORT"] || undefined
  if (port !== undefined && !(/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535)) {
    return wrong("PORT takes a whole number from 1 to 65535")
  }
  const list = env["HAWSER_UPSTREAMS"] || undefined
  const upstreams = list?.split(",").map((url) => url.trim())
  const bad = upstreams?.findIndex((url) => !isHttp(url)) ?? -1
  if (bad >= 0) {
    return wrong(
      `HAWSER_UPSTREAMS takes http: or https: URLs, separated by commas: number ${bad + 1} of ${upstreams!.length} is none`
    )
  }
  if (once && upstreams !== undefined) return wrong("--once judges the storm, and HAWSER_UPSTREAMS leaves it out")
  return Result.succeed({ once, port: port === undefined ? undefined : Number(port), upstreams })
}

const wrong = (message: string) => Result.fail(new UsageError({ message }))

const isHttp = (url: string): boolean => URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)
