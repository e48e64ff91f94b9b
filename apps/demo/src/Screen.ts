/**
 * Where the demo speaks: a terminal, with lines that stay and a table below them that is drawn anew, or a file or pipe, with
 * lines only.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** What is needed of `process.stdout`. */
export interface Output {
  readonly isTTY?: boolean | undefined
  readonly rows?: number | undefined
  readonly write: (text: string) => unknown
}

export interface Screen {
  /** Whether it can draw. */
  readonly live: boolean
  readonly colours: boolean
  /** Writes lines that stay. */
  readonly say: (text: string) => void
  /** Draws a table in place of the last one. */
  readonly show: (lines: ReadonlyArray<string>) => void
}

/** Draws for as long as the scope lasts. The last table stays. */
export const make = (
  output: Output,
  env: Readonly<Record<string, string | undefined>>
): Effect.Effect<Screen, never, Scope.Scope> =>
  output.isTTY === true && env["TERM"] !== "dumb"
    ? Effect.acquireRelease(
        Effect.sync(() => new Live(output, !env["NO_COLOR"])),
        (screen) => Effect.sync(() => screen.close())
      )
    : Effect.succeed({
        live: false,
        colours: false,
        say: (text) => void output.write(`${text}\n`),
        show: () => {}
      })

const hideCursor = "\x1b[?25l"
const showCursor = "\x1b[?25h"
// Without wrapping a line is one row, however narrow the window is.
const noWrap = "\x1b[?7l"
const wrap = "\x1b[?7h"
const clear = "\x1b[J"

class Live implements Screen {
  readonly live = true
  readonly colours: boolean
  private readonly output: Output
  private table: ReadonlyArray<string> = []

  constructor(output: Output, colours: boolean) {
    this.output = output
    this.colours = colours
    output.write(hideCursor)
  }

  readonly say = (text: string): void => this.draw(`${text}\n`, this.table)

  readonly show = (lines: ReadonlyArray<string>): void => this.draw("", lines.slice(0, (this.output.rows ?? 24) - 1))

  close(): void {
    this.output.write(wrap + showCursor)
  }

  // Leaves the cursor at the beginning of the line below the table.
  private draw(above: string, table: ReadonlyArray<string>): void {
    const up = this.table.length > 0 ? `\x1b[${this.table.length}A` : ""
    this.table = table
    this.output.write(`${up}\r${clear}${above}${noWrap}${table.map((line) => `${line}\n`).join("")}${wrap}`)
  }
}
