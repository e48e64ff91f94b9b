import { assert, describe, it } from "@effect/vitest"
import { RpcError } from "@hawser/rpc"
import { Duration } from "effect"
import { compiled, matches } from "../../src/internal/errors/row.ts"
import { allText, codeOf, errorText } from "../../src/internal/errors/said.ts"
import { without } from "./alternatives.ts"
import { type Fixture, fixtures, now, recommended, replyOf } from "./fixtures.ts"

const replies = fixtures.map(replyOf)

const seen = (fixture: Fixture, table?: ReadonlyArray<RpcError.Row>) => {
  const { hints, kind, ran, retryAfter } = RpcError.classify(replyOf(fixture), now, table)
  return {
    kind,
    ...(fixture.hints === undefined ? {} : { hints }),
    ...(fixture.ran === undefined ? {} : { ran }),
    ...(fixture.retryAfter === undefined
      ? {}
      : { retryAfter: retryAfter === undefined ? undefined : Duration.toMillis(retryAfter) })
  }
}

const expected = ({ hints, kind, ran, retryAfter }: Fixture) => ({
  kind,
  ...(hints === undefined ? {} : { hints }),
  ...(ran === undefined ? {} : { ran }),
  ...(retryAfter === undefined ? {} : { retryAfter })
})

describe("the fixtures", () => {
  it("are numbered and dated", () => {
    assert.strictEqual(new Set(fixtures.map(({ id }) => id)).size, fixtures.length)
    for (const { id, seen } of fixtures) assert.match(seen, /^20\d\d-\d\d$/, id)
  })

  it("hold every row of the study that quotes somebody", () => {
    // Rows without words, or whose words are no error.
    const left = {
      A149: "a result that looks like a revert is a result",
      A150: "a result that holds an error is a result",
      B3: "a rule that can never be true",
      B29: "a rule that can never be true",
      B34: "no rule",
      N78: "a host name",
      N111: "a host name",
      N116: "a host name",
      N117: "a host name",
      N160: "a name",
      N179: "a host name"
    }
    const rows = { A: 150, B: 34, D: 152, N: 223, M: 59, L: 75 }
    const ids = new Set(fixtures.map(({ id }) => id.replace(/(\d)[a-h]$/, "$1")))
    const missing = Object.entries(rows).flatMap(([letter, count]) =>
      Array.from({ length: count }, (_, i) => `${letter}${i + 1}`).filter((id) => !ids.has(id))
    )
    assert.deepStrictEqual(missing, Object.keys(left))
  })

  it("are of the recommended class, or say why not", () => {
    const unexplained = fixtures.filter((f) => f.why === undefined && !recommended(f).includes(f.kind))
    assert.deepStrictEqual(unexplained, [])
    const explained = fixtures.filter((f) => f.why !== undefined && recommended(f).includes(f.kind))
    assert.deepStrictEqual(explained, [])
  })
})

describe("the table", () => {
  it("reads every fixture as it should", () => {
    const wrong = fixtures.flatMap((fixture) => {
      const got = seen(fixture)
      return JSON.stringify(got) === JSON.stringify(expected(fixture)) ? [] : [{ fixture, got }]
    })
    assert.deepStrictEqual(wrong, [])
  })

  it("reads them the same in capitals", () => {
    const loud = (text: unknown) => (typeof text === "string" ? text.toUpperCase() : text)
    for (const fixture of fixtures) {
      const reply = replyOf(fixture)
      const error = reply.error === undefined ? undefined : { ...reply.error, message: loud(reply.error.message) }
      const body = reply.body?.toUpperCase()
      assert.strictEqual(RpcError.classify({ ...reply, error, body }, now).kind, fixture.kind, fixture.id)
    }
  })

  const outcome = (reply: RpcError.Reply, table: ReadonlyArray<RpcError.Row>) =>
    JSON.stringify(RpcError.classify(reply, now, table))
  const whole = new Map(replies.map((reply) => [reply, outcome(reply, RpcError.rows)]))
  const differ = (table: ReadonlyArray<RpcError.Row>, some = replies) =>
    some.some((reply) => outcome(reply, table) !== whole.get(reply))

  // Who matches less changes only what it won, and for that the rows before it do not matter.
  const won = Map.groupBy(replies, (reply) => {
    const said = errorText(reply)
    return compiled(RpcError.rows).find((row) => matches(row, reply, codeOf(reply), said, allText(reply, said)))?.row
  })
  const needed = (row: RpcError.Row, ...less: ReadonlyArray<RpcError.Row>) =>
    differ([...less, ...RpcError.rows.slice(RpcError.rows.indexOf(row) + 1)], won.get(row) ?? [])

  it("has no row that no fixture needs", () => {
    const idle = RpcError.rows.filter((row) => !needed(row))
    assert.deepStrictEqual(idle, [])
  })

  it("has no alternative that no fixture needs", () => {
    const idle = RpcError.rows.flatMap((row) =>
      row.pattern instanceof RegExp
        ? without(row.pattern.source)
            .filter(([, rest]) => !needed(row, { ...row, pattern: new RegExp(rest) }))
            .map(([alternative]) => `${row.kind}: ${alternative}`)
        : []
    )
    assert.deepStrictEqual(idle, [])
  })

  it("has no condition that no fixture needs", () => {
    const changed = (row: RpcError.Row, change: Partial<RpcError.Row>) =>
      RpcError.rows.map((other) => (other === row ? { ...row, ...change } : other))
    const idle = RpcError.rows.flatMap((row) => [
      ...(["method", "nature", "pause", "ran"] as const).filter(
        (key) => row[key] !== undefined && !differ(changed(row, { [key]: undefined }))
      ),
      ...(["code", "status"] as const).flatMap((key) => {
        const list = row[key]
        return typeof list === "object"
          ? list.filter((value) => !needed(row, { ...row, [key]: list.filter((other) => other !== value) }))
          : []
      })
    ])
    assert.deepStrictEqual(idle, [])
  })

  it("has a vendor's row only where it changes what its own words or codes mean", () => {
    for (const row of RpcError.rows.filter(({ vendor }) => vendor !== undefined)) {
      const table = RpcError.rows.filter((other) => other !== row)
      const differ = fixtures.filter((fixture) => seen(fixture, table).kind !== fixture.kind)
      assert.isNotEmpty(differ)
      for (const { from } of differ) assert.include(from.toLowerCase(), row.vendor!.toLowerCase())
    }
  })

  it("repeats nothing without a bound but single characters, so that no text is costly", () => {
    for (const { method, pattern } of RpcError.rows) {
      for (const { source } of [method, pattern].filter((it) => it instanceof RegExp)) {
        assert.notMatch(source.replace(/(?:\\[dw]|\[[^\]]+\])[*+]/g, ""), /(?<!\\)[*+]|\{\d+,\}/)
      }
    }
  })
})
