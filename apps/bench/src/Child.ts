/** Processes that are asked one thing at a time. CPU time is counted by process, so everything that counts has its own. */
import { fork } from "node:child_process"

export interface Child<Asks> {
  readonly ask: <K extends keyof Asks & string>(
    what: K,
    ...args: Parameters<Extract<Asks[K], Handler>>
  ) => Promise<Awaited<ReturnType<Extract<Asks[K], Handler>>>>
  readonly stop: () => Promise<void>
}

type Handler = (...args: Array<any>) => unknown

interface Question {
  readonly what: string
  readonly args: ReadonlyArray<unknown>
}

type Reply = { readonly value: unknown } | { readonly error: string }

/** Starts a process that runs {@link serve}. */
export const start = <Asks>(file: string, execArgv: ReadonlyArray<string> = []): Child<Asks> => {
  const child = fork(new URL(file, import.meta.url), [], {
    execArgv: [...execArgv],
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"]
  })
  let said = ""
  child.stderr?.on("data", (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000)
  })
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  const ask = (what: string, ...args: ReadonlyArray<unknown>) =>
    new Promise<unknown>((resolve, reject) => {
      const gone = () => reject(new Error(`${file} ended: ${said.trim()}`))
      if (!child.connected) return gone()
      child.once("exit", gone)
      child.once("message", (reply: Reply) => {
        child.removeListener("exit", gone)
        if ("error" in reply) reject(new Error(reply.error))
        else resolve(reply.value)
      })
      child.send({ what, args } satisfies Question)
    })
  return {
    ask: ask as never,
    stop: () => {
      if (child.connected) child.disconnect()
      return ended
    }
  }
}

/** Answers the process that started this one, and ends with it. */
export const serve = (asks: object): void => {
  const handlers = new Map(Object.entries(asks)) as ReadonlyMap<string, Handler>
  process.on("disconnect", () => process.exit(0))
  process.on("message", ({ args, what }: Question) => {
    const answer = async (): Promise<Reply> => {
      try {
        return { value: await handlers.get(what)!(...args) }
      } catch (error) {
        return { error: error instanceof Error ? error.message : String(error) }
      }
    }
    void answer().then((reply) => process.send?.(reply))
  })
}
