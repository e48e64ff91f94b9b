import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { summarize } from "../src/Samples.ts"
import * as Screen from "../src/Screen.ts"
import { script } from "../src/Storm.ts"
import * as Summary from "../src/Summary.ts"
import * as Table from "../src/Table.ts"
import * as Words from "../src/Words.ts"

const output = (isTTY: boolean, rows = 24) => {
  const terminal = { isTTY, rows, text: "", write: (text: string) => (terminal.text += text) }
  return terminal
}

/** What a terminal shows after all that: enough of one for what is written here. */
const shown = (text: string): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let at = 0
  // oxlint-disable-next-line no-control-regex
  for (const [, up, erase, line] of text.matchAll(/\x1b\[(\d+)A|(\x1b\[J)|\x1b\[\?\d+[hl]|\r|([^\x1b\r\n]*)\n/g)) {
    if (up !== undefined) at -= Number(up)
    else if (erase !== undefined) lines.length = at
    else if (line !== undefined) lines[at++] = line
  }
  return lines
}

describe("a terminal", () => {
  it.effect("shows lines that stay, and the last table below them", () =>
    Effect.gen(function* () {
      const terminal = output(true)
      const { say, show } = yield* Screen.make(terminal, {})
      say("one")
      show(["a", "b"])
      show(["c", "d", "e"])
      say("two\nthree")
      show(["f"])
      assert.deepStrictEqual(shown(terminal.text), ["one", "two", "three", "f"])
      show([])
      say("four")
      assert.deepStrictEqual(shown(terminal.text), ["one", "two", "three", "four"])
    })
  )

  it.effect("never draws more rows than it has", () =>
    Effect.gen(function* () {
      const terminal = output(true, 3)
      const { show } = yield* Screen.make(terminal, {})
      show(["a", "b", "c", "d"])
      assert.deepStrictEqual(shown(terminal.text), ["a", "b"])
    })
  )

  it.effect("has its cursor back in the end", () =>
    Effect.gen(function* () {
      const terminal = output(true)
      yield* Effect.scoped(Screen.make(terminal, {}))
      assert.isTrue(terminal.text.startsWith("\x1b[?25l"))
      assert.isTrue(terminal.text.endsWith("\x1b[?25h"))
    })
  )

  it.effect("has colours unless they are not wanted", () =>
    Effect.gen(function* () {
      assert.isTrue((yield* Screen.make(output(true), {})).colours)
      assert.isFalse((yield* Screen.make(output(true), { NO_COLOR: "1" })).colours)
    })
  )
})

describe("a pipe or a dumb terminal", () => {
  it.effect("gets lines, and nothing else", () =>
    Effect.gen(function* () {
      for (const [isTTY, env] of [
        [false, {}],
        [true, { TERM: "dumb" }]
      ] as const) {
        const pipe = output(isTTY)
        yield* Effect.scoped(
          Effect.map(Screen.make(pipe, env), ({ colours, live, say, show }) => {
            say("one")
            show(["a"])
            assert.isFalse(live || colours)
          })
        )
        assert.strictEqual(pipe.text, "one\n")
      }
    })
  )
})

const upstream = {
  name: "alpha",
  state: "up",
  latency: 12,
  inFlight: 1,
  head: 21_000_007,
  leftOut: undefined,
  lastError: undefined,
  asked: 100
} as const

const statistics = summarize(
  Array.from({ length: 3000 }, (_, n) => ({
    start: n,
    end: n + 12_345,
    outcome: n < 1500 ? "fresh" : n < 2500 ? "stale" : "failed",
    number: undefined,
    why: undefined
  })),
  60_000
)

describe("the table", () => {
  const view: Table.View = {
    title: "12 of 50 s  calm",
    upstreams: [
      { ...upstream, fault: undefined, rate: 33.4 },
      { ...upstream, name: "bravo", fault: "HTTP 500", state: "open", leftOut: "asked again in 123.4 s", rate: 0 },
      { ...upstream, name: "charlie", state: "avoided", leftOut: "failed 100 % of late", latency: undefined, rate: 5 }
    ],
    load: [{ name: "alpha alone", statistics }]
  }

  it("fits eighty columns", () => {
    for (const line of Table.draw(view, false)) assert.isAtMost(line.length, 80, line)
  })

  it("has the same text with colours", () => {
    const coloured = Table.draw(view, true).join("\n")
    // oxlint-disable-next-line no-control-regex
    assert.strictEqual(coloured.replaceAll(/\x1b\[\d+m/g, ""), Table.draw(view, false).join("\n"))
    assert.notStrictEqual(coloured, Table.draw(view, false).join("\n"))
  })

  it("says in a line who is away", () => {
    const text = Table.brief(view)
    assert.include(text, "alpha alone 50.0 % fresh, 500 failed, p99 12.3 s; bravo open, charlie avoided")
    assert.include(Table.brief({ ...view, upstreams: [upstream] }), "every node is up")
  })
})

describe("the summary", () => {
  const write = (verdict: Summary.Outcome["verdict"]) =>
    Summary.write({ service: statistics, bare: statistics, bareName: "alpha", phases: script, verdict, retryAfter: 59 })

  it("says that the promise was kept", () => {
    const text = write({ recoveries: [40], breaches: [] }).join("\n")
    assert.match(text, /fresh again, after a node was up again +40 ms/)
    assert.include(text, "Retry-After: 59")
    assert.include(text, "The service never failed while a node was up")
  })

  it("says what was not kept", () => {
    const text = write({ recoveries: [Infinity], breaches: ["it did not come back"] }).join("\n")
    assert.match(text, /fresh again, after a node was up again +never/)
    assert.include(text, "did not keep its promise:\n  - it did not come back")
    assert.notInclude(text, "never failed")
  })

  it("fits eighty columns", () => {
    for (const line of write({ recoveries: [Infinity], breaches: [] })) assert.isAtMost(line.length, 80, line)
  })
})

describe("words", () => {
  it("nearly all is not all, and hardly any is not none", () => {
    assert.strictEqual(Words.percent(1, 1), "100.0 %")
    assert.strictEqual(Words.percent(99_999, 100_000), "99.9 %")
    assert.strictEqual(Words.percent(1, 100_000), "0.1 %")
    assert.strictEqual(Words.percent(0, 100_000), "0.0 %")
    assert.strictEqual(Words.percent(0, 0), "–")
  })
})
