/** Where log lines go: above the table, if both are on one terminal; as logfmt to stderr otherwise. */
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import type { Screen } from "./Screen.ts"

export const layer = (screen: Screen, stderr: NodeJS.WriteStream): Layer.Layer<never> =>
  Logger.layer([
    screen.live && stderr.isTTY
      ? short((line) => screen.say(line))
      : Logger.map(Logger.formatLogFmt, (line) => void stderr.write(`${line}\n`))
  ])

const short = (write: (line: string) => void): Logger.Logger<unknown, void> =>
  Logger.make(({ date, fiber, message }) => {
    const { upstream = "", ...details } = fiber.getRef(References.CurrentLogAnnotations)
    const text = Array.isArray(message) ? message.join(" ") : String(message)
    const rest = Object.entries(details).map(([name, value]) => `${name}=${String(value)}`)
    write([date.toTimeString().slice(0, 8), String(upstream).padEnd(8), text, ...rest].join("  "))
  })
