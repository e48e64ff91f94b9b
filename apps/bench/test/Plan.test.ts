import { assert, describe, it } from "@effect/vitest"
import { firstHead, mix, plan, request } from "../src/Plan.ts"
import { find, weathers } from "../src/Weather.ts"

describe("plan", () => {
  it("the same seed asks the same at the same time, another does not", () => {
    assert.deepStrictEqual(plan(7, 100, 5000), plan(7, 100, 5000))
    assert.notDeepEqual(plan(7, 100, 5000), plan(8, 100, 5000))
  })

  it("calls come in order, within the time, about as many as were wanted", () => {
    for (let seed = 0; seed < 50; seed++) {
      const calls = plan(seed, 100, 10_000)
      assert.isTrue(calls.every(({ at }, i) => at >= (calls[i - 1]?.at ?? 0) && at < 10_000))
      // Six standard deviations.
      assert.approximately(calls.length, 1000, 200)
    }
  })

  it("a longer plan begins like a shorter one", () => {
    const short = plan(3, 50, 2000)
    assert.deepStrictEqual(plan(3, 50, 4000).slice(0, short.length), short)
  })

  it("every kind of call is in the mix, and those that can differ do", () => {
    const requests = mix(1, 2000).map((call) => request(call, firstHead))
    const seen = new Map<string, number>()
    for (const one of requests) seen.set(JSON.stringify(one), (seen.get(JSON.stringify(one)) ?? 0) + 1)
    const repeated = [...seen].filter(([, times]) => times > 1).map(([text]) => text)
    assert.sameMembers(repeated, [
      '{"method":"eth_blockNumber","params":[]}',
      '{"method":"eth_getBlockByNumber","params":["latest",false]}'
    ])
    assert.sameMembers(
      [...new Set(requests.map(({ method }) => method))],
      ["eth_blockNumber", "eth_getBlockByNumber", "eth_call", "eth_getBalance"]
    )
  })
})

describe("weather", () => {
  it("each is for three nodes, under a name of its own", () => {
    assert.strictEqual(new Set(weathers.map(({ name }) => name)).size, weathers.length)
    for (const { name, nodes } of weathers) {
      assert.strictEqual(find(name).nodes, nodes)
      assert.lengthOf(nodes(1000), 3)
    }
  })

  it("an unknown name tells the known ones", () => {
    assert.throws(() => find("hail"), /no scenario hail: healthy, dead/)
  })
})
