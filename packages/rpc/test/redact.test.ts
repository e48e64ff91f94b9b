import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { redactDeep, redactor } from "../src/internal/redact.ts"

const url = new URL("https://ann:s%40crt@eth.example:8443/v3/0123456789abcdef/mainnet?key=abc&token=t%20k%2Fz")
const redact = redactor(url, { authorization: "Bearer eyJhbGciOi.J9", "x-api-key": "xyz" })

describe("redactor", () => {
  it("takes out path, query, user and header values, encoded or not", () => {
    for (const secret of [
      "ann",
      "s@crt",
      "s%40crt",
      "/v3/0123456789abcdef/mainnet?key=abc&token=t%20k%2Fz",
      "/v3/0123456789abcdef/mainnet",
      "0123456789abcdef",
      "abc",
      "t k/z",
      "t%20k%2Fz",
      "Bearer eyJhbGciOi.J9",
      "eyJhbGciOi.J9",
      "xyz"
    ]) {
      const said = redact(`no such project: ${secret} (is it right?)`)
      assert.notInclude(said, secret)
      assert.include(said, "no such project")
    }
  })

  it("cuts every URL down to its host", () => {
    assert.strictEqual(
      redact("see https://bob:pw@docs.example/limits?plan=free#top, or wss://a.example/ws/key."),
      "see https://docs.example or wss://a.example"
    )
    assert.strictEqual(redact('Post "https://eth.example:8443/v3/x": EOF'), 'Post "https://eth.example:8443": EOF')
  })

  it("leaves words alone that only contain a short secret", () => {
    assert.strictEqual(redact("the annual abcess of v3 was on mainnets"), "the annual abcess of v3 was on mainnets")
    assert.strictEqual(redact("execution reverted"), "execution reverted")
  })

  it("has nothing to hide in a bare URL", () => {
    assert.strictEqual(
      redactor(new URL("http://127.0.0.1:8545"), {})("127.0.0.1:8545 / refused"),
      "127.0.0.1:8545 / refused"
    )
  })

  it("no secret survives, wherever it stands", () => {
    const key = fc.stringMatching(/^[A-Za-z0-9_-]{8,40}$/)
    fc.assert(
      fc.property(key, key, fc.string(), fc.string(), (segment, value, before, after) => {
        const redact = redactor(new URL(`https://h.example/v2/${segment}?apikey=${value}`), { "x-token": value })
        const said = redact(`${before}${segment}${after}${value}${before}`)
        assert.notInclude(said, segment)
        assert.notInclude(said, value)
      })
    )
  })
})

describe("redactDeep", () => {
  it("reaches strings and keys at any depth, and keeps the rest as it is", () => {
    assert.deepStrictEqual(redactDeep({ a: ["key xyz", 1, null, { xyz: true }], b: "0x08c379a0" }, redact), {
      a: ["key ***", 1, null, { "***": true }],
      b: "0x08c379a0"
    })
  })

  it("survives hostile shapes", () => {
    const proto = JSON.parse('{"__proto__":{"polluted":"xyz"},"constructor":"xyz"}') as unknown
    const result = redactDeep(proto, redact) as Record<string, unknown>
    assert.strictEqual(JSON.stringify(result), '{"__proto__":{"polluted":"***"},"constructor":"***"}')
    assert.isUndefined(({} as Record<string, unknown>)["polluted"])
    let deep: unknown = "xyz"
    for (let i = 0; i < 10_000; i++) deep = [deep]
    assert.notInclude(JSON.stringify(redactDeep(deep, redact)), "xyz")
  })
})
