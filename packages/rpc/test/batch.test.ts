import { assert, describe, it } from "@effect/vitest"
import { JsonRpc, Outcome as Verdict } from "@hawser/core"
import { Interruption } from "@hawser/testkit"
import { Effect, Exit, Fiber } from "effect"
import * as fc from "fast-check"
import { blamesBatch, readBatch, signOf } from "../src/internal/batch.ts"
import { Batcher, type Asked } from "../src/internal/batcher.ts"
import { forgetAfter, Limit, recoverAfter } from "../src/internal/batchLimit.ts"
import type { Fault, Reply } from "../src/internal/dispatch.ts"
import type { Outcome } from "../src/internal/reply.ts"

const reply = (body: unknown, status = 200): Reply => ({
  status,
  body: typeof body === "string" ? body : JSON.stringify(body),
  retryAfter: undefined,
  location: undefined
})

const result = (id: unknown, value: unknown = `r${String(id)}`) => ({ jsonrpc: "2.0", id, result: value })

const failure = (id: unknown, message: string, code = -32000) => ({ jsonrpc: "2.0", id, error: { code, message } })

describe("a reply to a batch", () => {
  const ids = new Set([7, 8, 9])
  const read = (body: unknown, status?: number) => readBatch(ids, 3, reply(body, status))
  const each = (body: unknown, status?: number): Record<string, string> => {
    const outcome = read(body, status)
    if (outcome.kind === "whole") return assert.fail("it is one for all")
    return Object.fromEntries(
      Array.from(outcome.outcomes, ([id, outcome]) => [
        id,
        outcome.kind === "result" ? String(outcome.result) : outcome.kind
      ])
    )
  }
  const whole = (body: unknown, status?: number) => {
    const outcome = read(body, status)
    return outcome.kind === "whole" ? outcome.outcome : assert.fail("it is one for each")
  }

  it("is matched by id, in whatever order", () => {
    assert.deepStrictEqual(each([result(9), result(7), result(8)]), { 7: "r7", 8: "r8", 9: "r9" })
    assert.deepStrictEqual(each([result("8"), result(7)]), { 7: "r7", 8: "r8" })
  })

  it("answers nobody under a foreign id, a null one, or none", () => {
    assert.deepStrictEqual(each([result(7), result(10), result(null), { jsonrpc: "2.0", result: 1 }]), { 7: "r7" })
    assert.deepStrictEqual(each([result(7), result("08"), result(8.5), result([8]), result(true)]), { 7: "r7" })
  })

  it("answers nobody twice", () => {
    assert.deepStrictEqual(each([result(7), result(8), result("8")]), { 7: "r7", 8: "malformed" })
    assert.deepStrictEqual(each([result(8), failure(8, "x"), result(8)]), { 8: "malformed" })
  })

  it("may fail for one and be junk for another", () => {
    assert.deepStrictEqual(each([failure(7, "execution reverted", 3), { jsonrpc: "2.0", id: 8 }, 1, null, [], "x"]), {
      7: "error",
      8: "malformed"
    })
    assert.deepStrictEqual(each([result(7), failure(8, "x")], 500), { 7: "error", 8: "error" })
  })

  it("may be one error for all", () => {
    for (const id of [null, undefined, 7]) assert.strictEqual(whole(failure(id, "no batches", -32600)).kind, "error")
    assert.strictEqual(whole([failure(null, "no batches")]).kind, "error")
    assert.strictEqual(whole([failure(7, "batch too large", -32600)]).kind, "error")
    assert.strictEqual(whole("<html>", 503).kind, "error")
    assert.deepStrictEqual(each([failure(7, "execution reverted", 3)]), { 7: "error" })
  })

  it("may be none", () => {
    for (const body of [
      [],
      [result(1)],
      [result(null), result(null)],
      "",
      "<html>",
      '[{"id":7',
      3,
      null,
      failure(1, "x")
    ]) {
      assert.strictEqual(whole(body).kind, "malformed", JSON.stringify(body))
    }
  })

  it("may be one of those asked for, without a list", () => {
    assert.deepStrictEqual(each(result(8)), { 8: "r8" })
    assert.strictEqual(whole(result(1)).kind, "malformed")
  })

  it("gives each its own answer or none, whatever it is", () => {
    const id = fc.oneof(
      fc.integer({ min: 5, max: 11 }),
      fc.constantFrom("7", "8", "07", " 9", null, undefined, 7.5, {})
    )
    const item = fc.oneof(
      { weight: 4, arbitrary: fc.record({ id, result: fc.constant("own") }) },
      fc.record({ id, error: fc.record({ code: fc.integer(), message: fc.string() }) }),
      fc.record({ id }),
      fc.jsonValue()
    )
    fc.assert(
      fc.property(fc.array(item, { maxLength: 8 }), fc.constantFrom(200, 200, 500), (items, status) => {
        const outcome = read(items, status)
        const sent = JSON.parse(JSON.stringify(items)) as ReadonlyArray<any>
        for (const id of ids) {
          const mine = sent.filter((item) => item?.id === id || item?.id === String(id))
          const got = outcome.kind === "each" ? outcome.outcomes.get(id) : undefined
          const answered = mine.length === 1 && mine[0].error == null && mine[0].result !== undefined && status === 200
          if (outcome.kind === "each") assert.strictEqual(got === undefined, mine.length === 0)
          assert.strictEqual(got?.kind === "result", answered)
          if (got?.kind === "result") assert.deepStrictEqual(got.result, mine[0].result)
        }
      }),
      { numRuns: 2_000 }
    )
  })
})

describe("what an error says of batches", () => {
  const sign = (message: string, kind: Parameters<typeof signOf>[1], status = 200, size = 100) =>
    signOf({ code: -32000, message }, kind, size, reply("", status))

  it("none are taken", () => {
    assert.deepStrictEqual(sign("batch requests are not supported", "transient"), { most: 1 })
    assert.deepStrictEqual(sign("Batch calls are disabled on the free tier", "rate"), { most: 1 })
    assert.deepStrictEqual(sign("Invalid Request", "invalid"), { most: 1 })
    assert.deepStrictEqual(sign("no such method", "unsupported"), { most: 1 })
    for (const status of [403, 405, 415]) {
      assert.deepStrictEqual(signOf(undefined, "auth", 100, reply("<html>", status)), { most: 1 })
    }
  })

  it("fewer are taken", () => {
    assert.deepStrictEqual(sign("batch too large", "range"), { most: 50 })
    assert.deepStrictEqual(sign("Number of requests exceeds max batch size", "rate"), { most: 50 })
    assert.deepStrictEqual(sign("batch size 100 exceeds the maximum of 20", "rate"), { most: 20 })
    assert.deepStrictEqual(sign("too many RPC calls in batch request", "range", 413), { most: 50 })
    assert.deepStrictEqual(signOf(undefined, "range", 3, reply("<html>nginx/1.2</html>", 413)), { most: 1 })
  })

  it("nothing", () => {
    assert.strictEqual(sign("rate limit exceeded", "rate", 429), "passing")
    assert.strictEqual(sign("too many requests", "rate", 400), "passing")
    assert.strictEqual(sign("invalid api key", "auth", 401), "passing")
    assert.strictEqual(sign("node is syncing", "syncing"), "passing")
  })

  it("something may be too much for it", () => {
    assert.strictEqual(sign("internal error", "transient"), "failed")
    assert.strictEqual(signOf(undefined, "transient", 9, reply("<html>batch</html>", 502)), "failed")
  })

  it("an error of one may be about the others", () => {
    assert.isTrue(blamesBatch({ message: "response too large" }))
    assert.isTrue(blamesBatch({ message: "too many requests in batch" }))
    assert.isFalse(blamesBatch({ message: "rate limit exceeded" }))
    assert.isFalse(blamesBatch({ message: 7 }))
    assert.isFalse(blamesBatch(undefined))
  })
})

describe("how many may go together", () => {
  const now = () => 0

  it("is halved by failures and doubled by success, up to what was asked for", () => {
    const limit = new Limit(100)
    limit.failed(100, 0)
    limit.failed(100, 0)
    assert.strictEqual(limit.at(now), 50)
    limit.failed(50, 0)
    limit.taken(10)
    assert.strictEqual(limit.at(now), 25)
    limit.taken(25)
    limit.taken(50)
    limit.taken(100)
    assert.strictEqual(limit.at(now), 100)
  })

  it("does not grow past what was refused, until that is forgotten", () => {
    const limit = new Limit(100)
    limit.refused(20, 0)
    limit.taken(20)
    assert.strictEqual(limit.at(now), 20)
    limit.refused(50, 1_000)
    assert.strictEqual(
      limit.at(() => 1_000 + forgetAfter - 1),
      20
    )
    assert.strictEqual(
      limit.at(() => 1_000 + forgetAfter),
      100
    )
    limit.taken(100)
    assert.strictEqual(limit.at(now), 100)
  })

  it("forgets what failed sooner than what was refused", () => {
    const limit = new Limit(100)
    limit.refused(20, 0)
    limit.failed(20, 0)
    assert.strictEqual(
      limit.at(() => recoverAfter - 1),
      10
    )
    assert.strictEqual(
      limit.at(() => recoverAfter),
      20
    )
    limit.failed(20, forgetAfter - 1)
    assert.strictEqual(
      limit.at(() => forgetAfter),
      10
    )
    limit.taken(10)
    limit.taken(20)
    assert.strictEqual(
      limit.at(() => forgetAfter),
      40
    )
  })

  it("is never less than one", () => {
    const limit = new Limit(3)
    limit.failed(1, 0)
    assert.strictEqual(limit.at(now), 1)
    limit.refused(0, 0)
    limit.taken(1)
    assert.strictEqual(limit.at(now), 1)
  })
})

interface Post {
  readonly ids: ReadonlyArray<number>
  readonly done: (fault: Fault | undefined, reply: Reply | undefined) => void
  aborted: boolean
  over: boolean
}

interface Lone {
  readonly asked: Asked<Failing>
  aborted: boolean
  over: boolean
}

type Failing = Outcome | Fault | JsonRpc.Rejected

const reverted = (message: string) =>
  new JsonRpc.Rejected({
    upstream: "a",
    code: 3,
    message,
    data: undefined,
    kind: "revert",
    [Verdict.TypeId]: Verdict.verdict({ counts: "success", again: "nowhere" })
  })

/** What a caller was told, in a word. */
const words = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return String(exit.value)
  const [reason] = exit.cause.reasons
  const error = reason?._tag === "Fail" ? (reason.error as Failing | JsonRpc.Apart) : assert.fail("a defect")
  if ("kind" in error) return error.kind
  return "reason" in error ? error.reason : "apart"
}

const fault = (reason: Fault["reason"], reached = true): Fault => ({
  reason,
  reached,
  message: "",
  code: undefined,
  stale: false
})

/** A batcher over a network of the test's own. */
const bench = (size = 4, bytes = 1_000_000) => {
  const posts: Array<Post> = []
  const lone: Array<Lone> = []
  const due = new Set<() => void>()
  const clock = { now: 0 }
  const ended = (outcome: Outcome): Exit.Exit<unknown, Failing> => {
    if (outcome.kind === "result") return Exit.succeed(outcome.result)
    const message = outcome.kind === "error" ? String(outcome.error?.message) : ""
    return Exit.fail(/revert/.test(message) ? reverted(message) : outcome)
  }
  const batcher = new Batcher<Failing>(
    { size, bytes },
    {
      post: (body, { done }) => {
        const ids = (JSON.parse(body) as ReadonlyArray<{ readonly id: number }>).map(({ id }) => id)
        const post: Post = { ids, done, aborted: false, over: false }
        posts.push(post)
        return {
          abort: () => {
            post.aborted = true
          }
        }
      },
      failed: (fault) => Exit.fail(fault),
      ended: (_, outcome) => ended(outcome),
      kindOf: (_, { error }) => {
        const text = String(error?.message)
        return /revert/.test(text) ? "revert" : /rate/.test(text) ? "rate" : "transient"
      },
      soon: (flush) => {
        due.add(flush)
        return () => void due.delete(flush)
      },
      now: () => clock.now
    }
  )
  const flush = () => {
    for (const f of Array.from(due)) {
      due.delete(f)
      f()
    }
  }
  let id = 0
  const ask = (resume: (answer: Effect.Effect<unknown, Failing>) => void = () => {}, padding = "") => {
    const own = ++id
    const text = `{"id":${own},"padding":"${padding}"}`
    const asked: Asked<Failing> = {
      id: own,
      request: JsonRpc.makeRequest("eth_call"),
      text,
      end: resume,
      send: () => {
        const one: Lone = { asked, aborted: false, over: false }
        lone.push(one)
        return {
          abort: () => {
            one.aborted = true
          }
        }
      }
    }
    const posted = batcher.add(asked)
    return { id: own, leave: () => posted.abort() }
  }
  /** Sends so many reads as they are. `texts`: how they are written, if not as usual. */
  const together = (size: number, texts?: ReadonlyArray<string | undefined>) => {
    const ids = Array.from({ length: size }, () => ++id)
    const said: Array<Exit.Exit<JsonRpc.Answers, Failing>> = []
    const posted = batcher.together({
      first: ids[0]!,
      requests: ids.map(() => JsonRpc.makeRequest("eth_call")),
      texts: texts ?? ids.map((id) => `{"id":${id}}`),
      resume: (answers) => said.push(answers)
    })
    const told = () => said.map((exit) => (Exit.isSuccess(exit) ? exit.value.map(words) : words(exit)))
    return { ids, leave: posted && (() => posted.abort()), told }
  }
  return { batcher, posts, lone, due, clock, flush, ask, together }
}

describe("a batch", () => {
  it("goes out when it is due, full, or long enough", () => {
    const { ask, due, flush, lone, posts } = bench(3, 120)
    ask()
    ask()
    assert.strictEqual(posts.length, 0)
    flush()
    for (let i = 0; i < 3; i++) ask()
    ask(undefined, "x".repeat(60))
    ask(undefined, "x".repeat(60))
    assert.deepStrictEqual(
      posts.map(({ ids }) => ids),
      [
        [1, 2],
        [3, 4, 5]
      ]
    )
    assert.deepStrictEqual(
      lone.map(({ asked }) => asked.id),
      [6]
    )
    flush()
    ask(undefined, "x".repeat(200))
    assert.deepStrictEqual(
      lone.map(({ asked }) => asked.id),
      [6, 7, 8]
    )
    assert.strictEqual(due.size, 0)
  })

  it("is not sent when all have left, and is aborted when all leave later", () => {
    const { ask, batcher, due, flush, posts } = bench()
    for (const { leave } of [ask(), ask()]) leave()
    assert.strictEqual(due.size, 0)
    flush()
    assert.strictEqual(posts.length, 0)
    const [a, b] = [ask(), ask()]
    flush()
    a.leave()
    a.leave()
    assert.isFalse(posts[0]!.aborted)
    b.leave()
    assert.isTrue(posts[0]!.aborted)
    assert.strictEqual(batcher.inspect().waiting, 0)
  })

  it("leaves out those who left before it went, and is no batch for one", () => {
    const { ask, flush, lone, posts } = bench()
    const [a, b, c] = [ask(), ask(), ask()]
    b.leave()
    flush()
    assert.deepStrictEqual(posts[0]!.ids, [a.id, c.id])
    const [d, e] = [ask(), ask()]
    d.leave()
    flush()
    assert.strictEqual(lone[0]!.asked.id, e.id)
    e.leave()
    assert.isTrue(lone[0]!.aborted)
  })

  it("that was refused is asked again one by one, and the next go so at once", () => {
    const { ask, batcher, clock, flush, lone, posts } = bench()
    const [a, b] = [ask(), ask()]
    flush()
    b.leave()
    posts[0]!.done(undefined, reply(failure(null, "batch not supported")))
    assert.deepStrictEqual(
      lone.map(({ asked }) => asked.id),
      [a.id]
    )
    ask()
    assert.strictEqual(lone.length, 2)
    assert.deepInclude(batcher.inspect(), { size: 1, refused: 1, repeated: 1 })
    clock.now = forgetAfter
    ask()
    ask()
    flush()
    assert.strictEqual(posts.length, 2)
  })

  it("whose answers are too large together is asked for one by one", () => {
    const { ask, flush, lone, posts } = bench()
    for (let i = 0; i < 3; i++) ask()
    flush()
    posts[0]!.done(fault("too-large"), undefined)
    assert.strictEqual(lone.length, 3)
  })

  it("does not fail one request for its neighbours, unless a contract says so", () => {
    const { ask, batcher, flush, lone, posts } = bench()
    const said: Array<unknown> = []
    for (let i = 0; i < 3; i++) ask((answer) => said.push(answer))
    flush()
    posts[0]!.done(
      undefined,
      reply([result(1), failure(2, "execution reverted: batch too large", 3), failure(3, "response too large", -32003)])
    )
    assert.strictEqual(said.length, 2)
    assert.deepStrictEqual(
      lone.map(({ asked }) => asked.id),
      [3]
    )
    assert.strictEqual(batcher.inspect().size, 1)
  })

  it("may end while others are told: whoever leaves then is told nothing", () => {
    const { ask, flush, lone, posts } = bench()
    const told: Array<number> = []
    const others: Array<() => void> = []
    for (let i = 1; i <= 4; i++) {
      const { id, leave } = ask(() => {
        told.push(id)
        for (const leave of others) leave()
      })
      if (id > 1) others.push(leave)
    }
    posts[0]!.done(undefined, reply([1, 2, 3, 4].map((id) => result(id))))
    assert.deepStrictEqual(told, [1])
    assert.strictEqual(lone.length, 0)
    flush()
  })

  it("does not ask again for whoever leaves while others are told", () => {
    const { ask, flush, lone, posts } = bench()
    const [, second] = [ask(() => second.leave()), ask()]
    flush()
    posts[0]!.done(undefined, reply([failure(second.id, "too many in this batch"), result(1)]))
    assert.strictEqual(lone.length, 0)
  })

  it("ends with what waits when it is closed, and what comes later goes alone", () => {
    const { ask, batcher, due, flush, lone, posts } = bench()
    const said: Array<Effect.Effect<unknown, Failing>> = []
    ask((answer) => said.push(answer))
    ask((answer) => said.push(answer))
    batcher.close()
    assert.strictEqual(said.length, 2)
    const exit = Effect.runSyncExit(said[0]!)
    assert.deepInclude((exit as any).cause.reasons[0].error, { reason: "closed", reached: false })
    assert.strictEqual(due.size, 0)
    flush()
    ask()
    assert.strictEqual(posts.length, 0)
    assert.strictEqual(lone.length, 1)
  })

  const fate = fc.constantFrom(
    "result",
    "result",
    "result",
    "revert",
    "blame",
    "drop",
    "twice",
    "foreign",
    "null",
    "string"
  )
  const whole = fc.constantFrom("refused", "too-many", "rate", "broken", "html", "closed", "unreached", "too-large")
  const command = fc.oneof(
    { weight: 5, arbitrary: fc.record({ do: fc.constant("ask" as const) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("leave" as const), whom: fc.nat() }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("flush" as const) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant("reply" as const),
        which: fc.nat(),
        fates: fc.array(fate, { minLength: 4, maxLength: 4 }),
        rotate: fc.nat(3)
      })
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("whole" as const), which: fc.nat(), how: whole }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("alone" as const), which: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("wait" as const) }) }
  )

  it("gives each who asks its own answer or a failure, once, and asks for it at most twice", () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60, size: "max" }), (commands) => {
        const size = 4
        const { ask, clock, flush, lone, posts } = bench(size)
        const answers = new Map<number, Array<string>>()
        const callers = new Map<number, { readonly leave: () => void; left: boolean }>()
        /** What must have been said to whom; a batch that was not understood says nothing yet. */
        const expected = new Map<number, string>()
        const told = (id: number) => answers.get(id)!.length > 0
        const expect = (id: number, what: string) => {
          const { left } = callers.get(id)!
          if (!left && !expected.has(id)) expected.set(id, what)
        }
        const underWay = () => posts.filter((post) => !post.over && !post.aborted)
        const aloneUnderWay = () => lone.filter((one) => !one.over && !one.aborted)
        const answerAlone = (one: Lone) => {
          one.over = true
          expect(one.asked.id, `r${one.asked.id}`)
          one.asked.end(Exit.succeed(`r${one.asked.id}`))
        }
        const answer = (post: Post, fates: ReadonlyArray<string>, rotate: number) => {
          const items = post.ids.flatMap((id, i): ReadonlyArray<unknown> => {
            switch (fates[i]) {
              case "revert":
                return [failure(id, "execution reverted: batch", 3)]
              case "blame":
                return [failure(id, "too many in this batch")]
              case "drop":
                return []
              case "twice":
                return [result(id), result(id)]
              case "foreign":
                return [result(id + 1_000)]
              case "null":
                return [result(null)]
              case "string":
                return [result(String(id))]
              default:
                return [result(id)]
            }
          })
          // The whole list may be one that means something else.
          const kinds = post.ids.map((_, i) => fates[i]!)
          const named = kinds.filter((kind) => !["drop", "foreign", "null"].includes(kind))
          const only = items.length === 1 && (kinds.includes("blame") || kinds.includes("revert"))
          post.over = true
          if (named.length > 0 && !only) {
            post.ids.forEach((id, i) => {
              const kind = fates[i]!
              if (kind === "revert") expect(id, "revert")
              else if (kind === "result" || kind === "string") expect(id, `r${id}`)
              else if (kind !== "blame") expect(id, "malformed")
            })
          } else if (!only) for (const id of post.ids) expect(id, "malformed")
          post.done(undefined, reply([...items.slice(rotate), ...items.slice(0, rotate)]))
        }
        const fail = (post: Post, how: string) => {
          post.over = true
          const all = (what: string) => post.ids.forEach((id) => expect(id, what))
          switch (how) {
            case "refused":
              return post.done(undefined, reply(failure(null, "batch not supported")))
            case "too-many":
              return post.done(undefined, reply("", 413))
            case "rate":
              all("error")
              return post.done(undefined, reply(failure(null, "rate limit")))
            case "broken":
              all("error")
              return post.done(undefined, reply("", 503))
            case "html":
              all("malformed")
              return post.done(undefined, reply("<html>"))
            case "closed":
              all("closed")
              return post.done(fault("closed"), undefined)
            case "unreached":
              all("connect")
              return post.done(fault("connect", false), undefined)
            default:
              return post.done(fault("too-large"), undefined)
          }
        }
        for (const step of commands) {
          if (step.do === "flush") flush()
          if (step.do === "wait") clock.now += forgetAfter / 2
          if (step.do === "ask") {
            const own: Array<string> = []
            const { id, leave } = ask((answer) => own.push(words(Effect.runSyncExit(answer))))
            answers.set(id, own)
            callers.set(id, { leave, left: false })
          }
          if (step.do === "leave" && callers.size > 0) {
            const [id, caller] = Array.from(callers)[step.whom % callers.size]!
            if (told(id)) continue
            caller.left = true
            caller.leave()
          }
          if (step.do === "reply" || step.do === "whole") {
            const some = underWay()
            const post = some[step.which % Math.max(1, some.length)]
            if (post === undefined) continue
            if (step.do === "reply") answer(post, step.fates, step.rotate)
            else fail(post, step.how)
          }
          if (step.do === "alone") {
            const some = aloneUnderWay()
            const one = some[step.which % Math.max(1, some.length)]
            if (one !== undefined) answerAlone(one)
          }
        }
        flush()
        for (const post of underWay()) answer(post, ["result", "result", "result", "result"], 0)
        for (const one of aloneUnderWay()) answerAlone(one)

        const sent = new Map<number, number>()
        for (const { ids } of posts) {
          assert.isAtLeast(ids.length, 2)
          assert.isAtMost(ids.length, size)
          for (const id of ids) sent.set(id, (sent.get(id) ?? 0) + 1)
        }
        for (const times of sent.values()) assert.strictEqual(times, 1, "in one batch at most")
        for (const { asked } of lone) sent.set(asked.id, (sent.get(asked.id) ?? 0) + 1)
        for (const [id, { left }] of callers) {
          assert.isAtMost(sent.get(id) ?? 0, 2)
          const said = answers.get(id)!
          if (left) assert.deepStrictEqual(said, [], `${id} had left`)
          else assert.deepStrictEqual(said, [expected.get(id) ?? "nothing"], `to ${id}`)
        }
        for (const { aborted, ids } of posts) {
          if (aborted) for (const id of ids) assert.isTrue(callers.get(id)!.left)
        }
      }),
      { numRuns: 1_500 }
    )
  })

  it.effect("leaves nothing behind, wherever its callers are interrupted", () =>
    Interruption.everywhere(
      Effect.sync(() => {
        const { ask, due, flush, lone, posts } = bench(3)
        const one = Effect.callback<unknown, Failing>((resume) => {
          const { leave } = ask((answer) => resume(answer))
          return Effect.sync(leave)
        })
        const network = Effect.gen(function* () {
          yield* Effect.sleep("10 millis")
          flush()
          yield* Effect.sleep("10 millis")
          for (const post of posts) {
            post.over = true
            if (!post.aborted) post.done(undefined, reply(failure(null, "no batch")))
          }
          yield* Effect.sleep("10 millis")
          for (const it of lone) {
            it.over = true
            if (!it.aborted) it.asked.end(Exit.succeed(1))
          }
        })
        return {
          run: Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(network)
            yield* Effect.all([one, one, Effect.timeoutOption(one, "15 millis")], { concurrency: "unbounded" })
            yield* Fiber.join(fiber)
          }),
          check: () => {
            assert.strictEqual(due.size, 0)
            for (const sent of [...posts, ...lone]) assert.isTrue(sent.over || sent.aborted)
          }
        }
      })
    )
  )
})

describe("reads that have come together", () => {
  it("go at once as they are, and each has its own answer, whatever the order", () => {
    const { ask, batcher, lone, posts, together } = bench()
    ask()
    const { told } = together(3)
    assert.deepStrictEqual(
      posts.map(({ ids }) => ids),
      [[2, 3, 4]]
    )
    assert.deepStrictEqual(told(), [])
    posts[0]!.done(undefined, reply([result(4), result("2"), result(3)]))
    assert.deepStrictEqual(told(), [["r2", "r3", "r4"]])
    assert.deepStrictEqual(batcher.inspect(), { size: 4, waiting: 1, batches: 1, batched: 3, refused: 0, repeated: 0 })
    assert.strictEqual(lone.length, 0)
  })

  it("have no answer under another's id, under none, under two, or if there is none", () => {
    const { ask, batcher, posts, together } = bench(8)
    ask()
    const { told } = together(5)
    posts[0]!.done(
      undefined,
      reply([result(1), result(2), result(7), result(null), result(3), result(3), failure(4, "no"), result(5)])
    )
    assert.deepStrictEqual(told(), [["r2", "malformed", "error", "r5", "malformed"]])
    assert.strictEqual(batcher.inspect().size, 8)
  })

  it("are to come apart where one fails for its neighbours, and are fewer the next time", () => {
    const { batcher, posts, together } = bench()
    const { told } = together(4)
    const items = [result(1), failure(2, "execution reverted: batch too large", 3), failure(3, "response too large")]
    posts[0]!.done(undefined, reply([...items, failure(4, "no")]))
    assert.deepStrictEqual(told(), [["r1", "revert", "apart", "error"]])
    assert.strictEqual(batcher.inspect().size, 2)
    assert.isUndefined(together(3).leave)
    together(2)
    posts[1]!.done(undefined, reply([result(8), result(9)]))
    assert.strictEqual(batcher.inspect().size, 4)
  })

  it("may revert with any words, and are answered then", () => {
    const { batcher, posts, together } = bench()
    const { told } = together(2)
    posts[0]!.done(undefined, reply([failure(1, "execution reverted: batch too large", 3), failure(2, "no")]))
    assert.deepStrictEqual(told(), [["revert", "error"]])
    assert.strictEqual(batcher.inspect().size, 4)
  })

  it("are to come apart if the node takes none together, and nothing is sent until that is forgotten", () => {
    const { batcher, clock, posts, together } = bench()
    const { told } = together(2)
    posts[0]!.done(undefined, reply(failure(null, "batch not supported")))
    assert.deepStrictEqual(told(), ["apart"])
    assert.deepInclude(batcher.inspect(), { size: 1, batches: 1, refused: 1, repeated: 0 })
    // Of one, too: it would be a list.
    for (const size of [1, 2]) assert.isUndefined(together(size).leave)
    clock.now = forgetAfter - 1
    assert.isUndefined(together(2).leave)
    clock.now = forgetAfter
    assert.isDefined(together(2).leave)
    assert.strictEqual(posts.length, 2)
  })

  it("are to come apart if the node takes fewer", () => {
    const { posts, together } = bench()
    const { told } = together(4)
    posts[0]!.done(undefined, reply("", 413))
    assert.deepStrictEqual(told(), ["apart"])
    assert.isUndefined(together(3).leave)
    assert.isDefined(together(2).leave)
  })

  it("are not sent if they are too many, too long, or one cannot be written", () => {
    const { batcher, posts, together } = bench(3, 20)
    for (const { leave, told } of [
      together(4),
      together(2, ["1".repeat(9), "2".repeat(9)]),
      together(2, ["1", undefined])
    ]) {
      assert.isUndefined(leave)
      assert.deepStrictEqual(told(), [])
    }
    assert.strictEqual(posts.length, 0)
    assert.deepInclude(batcher.inspect(), { batches: 0, batched: 0 })
    assert.isDefined(together(2, ['{"id":10}', '{"id":1}']).leave)
    assert.strictEqual(posts.length, 1)
  })

  it("fail as one if nobody is answered", () => {
    for (const [body, status, how, size] of [
      [[failure(1, "no"), { jsonrpc: "2.0", id: 2 }], 200, "error", 4],
      [[result(0)], 200, "malformed", 1],
      [[result(3)], 200, "malformed", 1],
      ["<html>", 200, "malformed", 1],
      ["", 503, "error", 1],
      [failure(null, "rate limit"), 429, "error", 4],
      [[failure(1, "response too large"), failure(2, "response too large")], 200, "apart", 1]
    ] as const) {
      const { batcher, lone, posts, together } = bench()
      const { told } = together(2)
      posts[0]!.done(undefined, reply(body, status))
      assert.deepStrictEqual(told(), [how])
      assert.deepInclude(batcher.inspect(), { size, refused: 0 })
      assert.strictEqual(lone.length, 0)
    }
  })

  it("fail as one if there is no reply; if it is too large together, they are to come apart", () => {
    for (const [given, how, size] of [
      [fault("closed"), "closed", 2],
      // It was never made: that tells nothing of batches.
      [fault("connect", false), "connect", 4],
      [fault("too-large"), "apart", 2]
    ] as const) {
      const { batcher, posts, together } = bench()
      const { told } = together(4)
      posts[0]!.done(given, undefined)
      assert.deepStrictEqual(told(), [how])
      assert.strictEqual(batcher.inspect().size, size)
    }
  })

  it("are aborted when their caller leaves", () => {
    const { posts, together } = bench()
    const { leave, told } = together(2)
    assert.isFalse(posts[0]!.aborted)
    leave!()
    assert.isTrue(posts[0]!.aborted)
    assert.deepStrictEqual(told(), [])
  })

  it("come to nothing once all is closed", () => {
    const { batcher, posts, together } = bench()
    batcher.close()
    const { leave, told } = together(2)
    assert.isUndefined(leave)
    assert.deepStrictEqual(told(), [])
    assert.strictEqual(posts.length, 0)
  })

  const fates: Readonly<Record<string, (id: number) => ReadonlyArray<{ readonly id: unknown }>>> = {
    result: (id: number) => [result(id)],
    string: (id: number) => [result(String(id))],
    revert: (id: number) => [failure(id, "execution reverted: batch", 3)],
    error: (id: number) => [failure(id, "no")],
    blame: (id: number) => [failure(id, "too many in this batch")],
    drop: () => [],
    twice: (id: number) => [result(id), result(id)],
    foreign: (id: number) => [result(id + 1_000)],
    null: () => [result(null)]
  }
  const due: Readonly<Record<string, (id: number) => string>> = {
    result: (id) => `r${id}`,
    string: (id) => `r${id}`,
    revert: () => "revert",
    error: () => "error",
    blame: () => "apart",
    drop: () => "malformed",
    twice: () => "malformed",
    foreign: () => "malformed",
    null: () => "malformed"
  }

  it("have each its own answer, or none has, whatever list comes back", () => {
    const fate = fc.constantFrom("result", "result", ...Object.keys(fates))
    fc.assert(
      fc.property(fc.array(fate, { minLength: 2, maxLength: 8 }), fc.nat(7), (kinds, rotate) => {
        const { batcher, posts, together } = bench(8)
        const { ids, told } = together(kinds.length)
        const items = ids.flatMap((id, i) => fates[kinds[i]!]!(id))
        // One error that speaks of batches, and nothing else, means something else: that the batch was not taken.
        fc.pre(items.length !== 1 || !(kinds.includes("blame") || kinds.includes("revert")))
        posts[0]!.done(undefined, reply([...items.slice(rotate), ...items.slice(0, rotate)]))
        const expected = ids.map((id, i) => due[kinds[i]!]!(id))
        const isAnswered = expected.some((word) => word === "revert" || word.startsWith("r"))
        assert.deepStrictEqual(told(), [isAnswered ? expected : expected[0]!])
        const size = kinds.includes("blame") ? kinds.length >> 1 : 8
        if (items.some(({ id }) => ids.includes(Number(id)))) assert.strictEqual(batcher.inspect().size, size)
      }),
      { numRuns: 1_000 }
    )
  })
})
