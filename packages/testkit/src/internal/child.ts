/** A child process that does not outlive this one. */
import * as Effect from "effect/Effect"
import { type ChildProcess, spawn } from "node:child_process"

export class Child {
  private readonly process: ChildProcess
  private readonly leash: ChildProcess | undefined
  private output = ""
  private keeps = true
  private failure: string | undefined
  private closed = false

  constructor(file: string, args: ReadonlyArray<string>) {
    this.process = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] })
    this.process.once("error", (error) => (this.failure = error.message))
    this.process.once("exit", (code, signal) => this.ended(`exited with ${signal ?? code}`))
    this.process.once("close", () => (this.closed = true))
    if (this.process.pid !== undefined) alive.add(this.process)
    this.leash = this.process.pid === undefined ? undefined : leash(this.process.pid)
    for (const stream of [this.process.stdout!, this.process.stderr!]) {
      // Read for ever: a pipe that nobody empties stops the process at the other end.
      stream.on("data", (chunk: Buffer) => {
        if (this.keeps) this.output += chunk.toString()
      })
    }
  }

  get pid(): number {
    return this.process.pid ?? 0
  }

  /** Waits until the output matches. Fails with what there is to say if the process ends before. */
  says(pattern: RegExp): Effect.Effect<RegExpExecArray, string> {
    return Effect.callback((resume) => {
      const streams = [this.process.stdout!, this.process.stderr!]
      const off = () => {
        for (const stream of streams) stream.off("data", check)
        this.process.off("error", over).off("close", over)
      }
      const check = () => {
        const match = pattern.exec(this.output)
        if (match === null) return
        off()
        resume(Effect.succeed(match))
      }
      const over = () => {
        check()
        off()
        resume(Effect.fail(`${this.failure}\n${this.output.slice(-2_000)}`.trim()))
      }
      for (const stream of streams) stream.on("data", check)
      // Not "exit": what the process said last may still be in the pipe then.
      this.process.on("error", over).on("close", over)
      if (this.closed) over()
      else check()
      return Effect.sync(off)
    })
  }

  /** It has started: from now on its output is thrown away, and a program may end while it runs. */
  started(): void {
    this.keeps = false
    this.output = ""
    this.process.unref()
    for (const stream of [this.process.stdout, this.process.stderr]) {
      ;(stream as unknown as { unref: () => void }).unref()
    }
  }

  /** Kills the process and waits until it is gone. */
  readonly kill: Effect.Effect<void> = Effect.callback<void>((resume) => {
    if (this.failure !== undefined || this.process.pid === undefined) return resume(Effect.void)
    this.process.ref()
    this.process.once("exit", () => resume(Effect.void))
    this.process.kill("SIGKILL")
  })

  private ended(why: string): void {
    this.failure = why
    alive.delete(this.process)
    this.leash?.kill("SIGKILL")
    this.leash?.stdin?.destroy()
  }
}

/** Those that die with this process when it ends by itself or by an error. */
const alive = {
  children: new Set<ChildProcess>(),
  add(child: ChildProcess): void {
    if (this.children.size === 0) process.on("exit", killAll)
    this.children.add(child)
  },
  delete(child: ChildProcess): void {
    if (this.children.delete(child) && this.children.size === 0) process.off("exit", killAll)
  }
}

const killAll = (): void => {
  for (const child of alive.children) child.kill("SIGKILL")
}

/**
 * A signal ends this process without a word. So a shell reads from a pipe that only this process holds open: when this
 * process is gone, however that came, the pipe ends and the shell kills the child.
 */
const leash = (pid: number): ChildProcess | undefined => {
  if (process.platform === "win32") return undefined
  const shell = spawn("/bin/sh", ["-c", 'read -r _; kill -9 "$1"', "sh", String(pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    // In a session of its own, or Ctrl-C would end it first.
    detached: true
  })
  shell.on("error", () => {})
  shell.stdin.on("error", () => {})
  shell.unref()
  ;(shell.stdin as unknown as { unref: () => void }).unref()
  return shell
}
