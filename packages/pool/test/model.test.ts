/**
 * The pool against a small model: callers ask, upstreams answer, fail, refuse or die, callers leave, members come, go and
 * drain, in any order. The pool draws whom to ask; the model says whom it may draw, and keeps the books.
 *
 * Synchronous, so that a property can run thousands of steps. Then defects are put in, and the model must find each.
 */
import { assert, describe, it } from "@effect/vitest"
import { Call, Outcome } from "@hawser/core"
import { Clock, Context, Data, Duration, Effect, Exit, type Fiber, Random } from "effect"
import * as fc from "fast-check"
import { UpstreamPool } from "../src/index.ts"
import { Lease } from "../src/internal/lease.ts"
import { Member } from "../src/internal/member.ts"
import { Roster } from "../src/internal/roster.ts"
import { Round } from "../src/internal/round.ts"

type How = "ok" | "answer" | "fail" | "refuse" | "neutral" | "die"

class Failed extends Data.TaggedError("Failed")<{
  readonly how: How
  readonly [Outcome.TypeId]: Outcome.Verdict
}> {}

const pause = 30

const verdicts: Partial<Record<How, Outcome.Verdict>> = {
  answer: Outcome.verdict({ counts: "success", again: "nowhere" }),
  fail: Outcome.verdict(),
  refuse: Outcome.refusal(Duration.millis(pause)),
  neutral: Outcome.verdict({ counts: "neutral", again: "elsewhere" })
}

/** A request that has reached an upstream and waits for the test to end it. */
interface Request {
  readonly name: string
  readonly caller: number
  readonly end: (how: How) => void
}

class World {
  now = 0
  readonly requests: Array<Request> = []
  readonly fibers: Array<Fiber.Fiber<string, unknown>> = []
  /** Whom the pool asked since the model last looked. */
  asked: Array<Request> = []
  readonly pool: UpstreamPool.UpstreamPool<string>
  private readonly context: Context.Context<never>

  constructor(members: ReadonlyArray<string>, seed: number) {
    const monotonic = () => BigInt(this.now * 1e6)
    this.context = Context.make(Clock.Clock, Object.assign({}, fixed, { monotonicTimeNanosUnsafe: monotonic }))
    this.pool = this.run(Effect.provideService(UpstreamPool.make(specs(members)), Random.Random, randomOf(seed)))
  }

  run<A>(effect: Effect.Effect<A>): A {
    return Effect.runSyncWith(this.context)(effect)
  }

  ask(exclude: ReadonlyArray<string>): void {
    const caller = this.fibers.length
    const request = (name: string) =>
      Effect.callback<string, Failed>((resume) => {
        const gone = () => void this.requests.splice(this.requests.indexOf(request), 1)
        const end = (how: How) => {
          gone()
          const verdict = verdicts[how]
          if (verdict !== undefined) resume(Effect.fail(new Failed({ how, [Outcome.TypeId]: verdict })))
          else resume(how === "ok" ? Effect.succeed(name) : Effect.die("bug"))
        }
        const request: Request = { name, caller, end }
        this.requests.push(request)
        this.asked.push(request)
        return Effect.sync(gone)
      })
    this.fibers.push(Effect.runForkWith(this.context)(this.pool.execute(request, { exclude })))
  }
}

const fixed: Clock.Clock = {
  currentTimeMillisUnsafe: () => 0,
  currentTimeMillis: Effect.succeed(0),
  currentTimeNanosUnsafe: () => 0n,
  currentTimeNanos: Effect.succeed(0n),
  monotonicTimeNanosUnsafe: () => 0n,
  monotonicTimeNanos: Effect.succeed(0n),
  sleep: () => Effect.never
}

const randomOf = (seed: number) => {
  let state = seed
  const next = () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state / 2_147_483_648
  }
  return { nextDoubleUnsafe: next, nextIntUnsafe: () => Math.floor(next() * 2 ** 31) }
}

const capacity = 1
const names = ["a", "b", "c", "d"]
const specs = (members: ReadonlyArray<string>) =>
  members.map((name) => ({ name, upstream: name, ...(name === "a" ? { capacity } : {}) }))

/** What is known of a member. A member that comes back is a new one. */
class Book {
  readonly name: string
  inflight = 0
  successes = 0
  failures = 0
  neutrals = 0
  refusals = 0
  asked = 0
  until = -Infinity
  draining = false

  constructor(name: string) {
    this.name = name
  }
}

interface Caller {
  readonly excluded: ReadonlyArray<string>
  readonly tried: Set<Book>
  /** Whom it is waiting for. */
  at: Book | undefined
  exit: string | undefined
}

class Model {
  now = 0
  books: Array<Book>
  readonly callers: Array<Caller> = []

  constructor(members: ReadonlyArray<string>) {
    this.books = members.map((name) => new Book(name))
  }

  /** Whom the pool may ask next. */
  choice({ excluded, tried }: Caller): ReadonlyArray<Book> {
    const open = this.books.filter((book) => !book.draining && !tried.has(book) && !excluded.includes(book.name))
    const eligible = open.filter(({ until }) => this.now >= until)
    const room = eligible.filter((book) => book.name !== "a" || book.inflight < capacity)
    return room.length > 0 ? room : eligible.length > 0 ? eligible : open
  }

  /** The pool asked, or had nobody to ask. */
  next(caller: Caller, name: string | undefined): void {
    const choice = this.choice(caller)
    if (choice.length === 0) {
      assert.isUndefined(name, "LB15, LB16: asks nobody who drains, is gone or has been tried")
      caller.exit = "NoAnswer"
      return
    }
    const book = choice.find((book) => book.name === name)
    assert.isDefined(book, `LB1, LB15, LB16: of ${choice.map(({ name }) => name).join()} not ${name}`)
    book.inflight++
    book.asked++
    caller.tried.add(book)
    caller.at = book
  }

  end(caller: Caller, how: How | "leave"): void {
    const book = caller.at!
    caller.at = undefined
    book.inflight--
    if (how === "refuse") {
      book.refusals++
      book.asked--
      book.until = this.now + pause
    } else if (how === "ok" || how === "answer") {
      book.successes++
      book.until = -Infinity
    } else if (how === "fail" || how === "die") book.failures++
    else book.neutrals++
    caller.exit = { ok: book.name, answer: "answer", die: "NoAnswer", leave: "left" }[how as string]
  }
}

const command = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("ask" as const), exclude: fc.subarray(names, { maxLength: 1 }) })
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("end" as const),
      which: fc.nat(20),
      how: fc.constantFrom<How>("ok", "answer", "fail", "fail", "refuse", "refuse", "neutral", "die")
    })
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("leave" as const), which: fc.nat(20) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("tick" as const), by: fc.integer({ min: 1, max: 80 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("set" as const), members: fc.subarray(names, { minLength: 1 }) })
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("drain" as const), name: fc.constantFrom(...names) }) }
)

type Command = typeof command extends fc.Arbitrary<infer C> ? C : never

const step = (command: Command, world: World, model: Model): void => {
  const request = "which" in command ? world.requests[command.which % Math.max(1, world.requests.length)] : undefined
  world.asked = []
  switch (command.do) {
    case "ask": {
      const caller = { excluded: command.exclude, tried: new Set<Book>(), at: undefined, exit: undefined }
      model.callers.push(caller)
      world.ask(command.exclude)
      return model.next(caller, world.asked[0]?.name)
    }
    case "end": {
      if (request === undefined) return
      const caller = model.callers[request.caller]!
      model.end(caller, command.how)
      request.end(command.how)
      if (caller.exit === undefined) model.next(caller, world.asked[0]?.name)
      return
    }
    case "leave": {
      if (request === undefined) return
      world.fibers[request.caller]!.interruptUnsafe()
      return model.end(model.callers[request.caller]!, "leave")
    }
    case "tick": {
      world.now += command.by
      model.now += command.by
      return
    }
    case "set": {
      world.run(world.pool.set(specs(command.members)))
      const kept = model.books.filter(({ draining }) => !draining)
      model.books = command.members.map((name) => kept.find((book) => book.name === name) ?? new Book(name))
      return
    }
    case "drain": {
      Effect.runFork(world.pool.drain(command.name))
      for (const book of model.books) if (book.name === command.name) book.draining = true
    }
  }
}

const said = (exit: Exit.Exit<string, unknown> | undefined): string | undefined => {
  if (exit === undefined) return undefined
  if (Exit.isSuccess(exit)) return exit.value
  const reason = exit.cause.reasons[0]!
  return reason._tag !== "Fail" ? "left" : reason.error instanceof Call.NoAnswer ? "NoAnswer" : "answer"
}

const compare = (world: World, model: Model): void => {
  assert.isAtMost(world.asked.length, 1, "one request at a time for each call")
  for (const [i, caller] of model.callers.entries()) {
    assert.strictEqual(said(world.fibers[i]!.pollUnsafe()), caller.exit, `caller ${i}`)
  }
  for (const [i, { asked, failures, inflight, neutrals, refusals, successes }] of world.pool.inspect().entries()) {
    const book = model.books[i]!
    assert.strictEqual(inflight, book.inflight, `LB2: under way at ${book.name}`)
    assert.deepStrictEqual(
      { asked, failures, neutrals, refusals, successes },
      {
        asked: book.asked,
        failures: book.failures,
        neutrals: book.neutrals,
        refusals: book.refusals,
        successes: book.successes
      },
      `LB12, LB15: the books of ${book.name}`
    )
  }
}

const agrees = fc.property(
  fc.integer({ min: 1, max: 1e9 }),
  fc.subarray(names, { minLength: 1 }),
  fc.array(command, { minLength: 10, maxLength: 60 }),
  (seed, members, commands) => {
    const world = new World(members, seed)
    const model = new Model(members)
    for (const command of commands) {
      step(command, world, model)
      compare(world, model)
    }
    for (const fiber of world.fibers) fiber.interruptUnsafe()
    assert.lengthOf(world.requests, 0, "nothing is under way once all have left")
    for (const { inflight } of world.pool.inspect()) assert.strictEqual(inflight, 0, "LB2: at rest")
  }
)

describe("the pool equals its model under any interleaving", () => {
  it("LB1, LB2, LB12, LB15, LB16: whom it asks, what it counts, whose answer it gives", () =>
    fc.assert(agrees, { numRuns: 500 }))
})

type Patch = readonly [prototype: object, defects: Record<string, (this: any, ...args: any) => any>]

/** Puts a defect into the machinery while `f` runs. */
const defective = ([prototype, defects]: Patch, f: () => void) => {
  const sound = Object.keys(defects).map((name) => [name, Object.getOwnPropertyDescriptor(prototype, name)!] as const)
  for (const [name, { value }] of sound) {
    const defect = defects[name]!
    Object.defineProperty(prototype, name, { configurable: true, ...(value ? { value: defect } : { get: defect }) })
  }
  try {
    f()
  } finally {
    for (const [name, descriptor] of sound) Object.defineProperty(prototype, name, descriptor)
  }
}

describe("mutants: each defect is found by the model", () => {
  const { count, settle } = Lease.prototype as any
  const { pick, set } = Roster.prototype as any

  const mutants: Record<string, Patch> = {
    "LB1: a refusal is forgotten at once": [Member.prototype, { refuses: () => false }],
    "LB1: a refusal holds for ever": [
      Member.prototype,
      {
        refuses() {
          return this.leftOut !== undefined
        }
      }
    ],
    "LB1: who is at capacity is asked all the same": [Member.prototype, { isFull: () => false }],
    "LB1: those who refuse are not asked even where nobody else is": [
      Roster.prototype,
      {
        pick(...args) {
          const member = pick.apply(this, args)
          return member?.refuses(args[1]) === true ? undefined : member
        }
      }
    ],
    "LB2: a request that is interrupted stays under way": [
      Lease.prototype,
      {
        settle(exit, ...rest) {
          const { inflight } = this.member.load
          const outcome = settle.call(this, exit, ...rest)
          if (Exit.isFailure(exit) && Exit.hasInterrupts(exit)) this.member.load.inflight = inflight
          return outcome
        }
      }
    ],
    "LB2: a defect stays under way": [
      Lease.prototype,
      {
        settle(exit, ...rest) {
          const outcome = settle.call(this, exit, ...rest)
          if (Exit.hasDies(exit)) this.member.load.inflight++
          return outcome
        }
      }
    ],
    ...Object.fromEntries(
      (["success", "failure"] as const).map((outcome) => [
        `LB12: a neutral ending is a ${outcome}`,
        [
          Lease.prototype,
          {
            count(ended: Outcome.Outcome, now: number) {
              return count.call(this, ended === "neutral" ? outcome : ended, now)
            }
          }
        ] satisfies Patch
      ])
    ),
    "LB12: a refusal counts as a request": [
      Lease.prototype,
      {
        settle(exit, ...rest) {
          const { refusals } = this.member
          const outcome = settle.call(this, exit, ...rest)
          if (this.member.refusals > refusals) this.member.asked++
          return outcome
        }
      }
    ],
    "LB15: who is gone is still asked": [
      Roster.prototype,
      {
        set(specs, now) {
          const { tiers } = this
          set.call(this, specs, now)
          if (tiers.length > 0) this.tiers = tiers
        }
      }
    ],
    "LB15: who stays begins anew": [
      Roster.prototype,
      {
        set(specs, now) {
          this.members = []
          set.call(this, specs, now)
        }
      }
    ],
    "LB15: who drains is still asked": [Roster.prototype, { has: (member) => !member.isFull, isEligible: () => true }],
    "LB16: one that has failed is asked again before the others": [
      Roster.prototype,
      {
        pick(tried, ...rest) {
          return pick.call(this, tried?.slice(0, -1), ...rest)
        }
      }
    ],
    "LB16: one failure ends the call": [
      Round.prototype,
      {
        failed() {
          return this.giveUp()
        }
      }
    ]
  }

  it.each(Object.entries(mutants))("%s", (name, patch) => {
    defective(patch, () => {
      const { errorInstance, failed } = fc.check(agrees, { seed: 42, numRuns: 300, endOnFailure: true })
      assert.isTrue(failed, "no counterexample in 300 traces")
      assert.match(String(errorInstance), new RegExp(`\\b${name.slice(0, name.indexOf(":"))}\\b`), "another invariant")
    })
  })
})
