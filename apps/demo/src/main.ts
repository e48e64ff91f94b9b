/** `npm run demo`. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Settings from "./Settings.ts"

const { argv, env, stderr, stdout } = process
const args = argv.slice(2)

const program = Effect.gen(function* () {
  if (args.includes("--help")) return yield* write(stdout, Settings.usage, 0)
  const settings = yield* Effect.fromResult(Settings.read(args, env))
  // Not loaded before the settings are right, so that a wrong one is told at once.
  const { run } = yield* Effect.promise(() => import("./Run.ts"))
  return yield* run(settings)
}).pipe(
  Effect.catchTags({
    UsageError: ({ message }) => write(stderr, message, 1),
    ListenError: ({ message }) => write(stderr, message, 1)
  })
)

const write = (stream: NodeJS.WriteStream, text: string, status: number): Effect.Effect<number> =>
  Effect.sync(() => {
    stream.write(`${text}\n`)
    return status
  })

// Ctrl-C is how the demo ends. For whoever wants a verdict, that is none.
const statusOf = (exit: Exit.Exit<number, unknown>): number => {
  if (Exit.isSuccess(exit)) return exit.value
  if (!Cause.hasInterruptsOnly(exit.cause)) return 1
  return args.includes("--once") ? 130 : 0
}

// Whoever reads the output has left. The nodes end with this process.
stdout.once("error", () => process.exit(1))

NodeRuntime.runMain(program, { teardown: (exit, end) => end(statusOf(exit as Exit.Exit<number, unknown>)) })
