// A real Redis, on a socket in a folder of its own, so that no port is ever taken by somebody else.
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { once } from "node:events"
import { mkdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { createClient } from "redis"
import { temporary } from "./temporary.ts"

/** Whether there is one to test with. */
export const isInstalled = (() => {
  try {
    execFileSync("redis-server", ["--version"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})()

/** Has written to its file whatever it has answered, so that it may be killed at any moment. */
export class Server {
  readonly path = join(temporary, `hawser-redis-${randomUUID()}`)
  readonly client = createClient({
    socket: { path: join(this.path, "socket"), reconnectStrategy: () => 1 },
    disableOfflineQueue: true
  })
  private process: ChildProcess | undefined

  async start(): Promise<void> {
    mkdirSync(this.path)
    await this.up()
    this.client.on("error", () => {})
    await this.client.connect()
  }

  readonly send = (command: ReadonlyArray<string>): Promise<unknown> => this.client.sendCommand(Array.from(command))

  /** Kills it, and waits until the client has noticed. */
  async kill(): Promise<void> {
    const lost = new Promise((resolve) => this.client.once("reconnecting", resolve))
    await this.down()
    await lost
  }

  async revive(): Promise<void> {
    const ready = new Promise((resolve) => this.client.once("ready", resolve))
    await this.up()
    await ready
  }

  async restart(): Promise<void> {
    await this.kill()
    await this.revive()
  }

  async stop(): Promise<void> {
    this.client.destroy()
    await this.down()
    rmSync(this.path, { recursive: true, force: true })
  }

  private async up(): Promise<void> {
    const settings = ["--port", "0", "--unixsocket", join(this.path, "socket"), "--dir", this.path, "--save", ""]
    const child = spawn("redis-server", [...settings, "--appendonly", "yes", "--appendfsync", "no"])
    this.process = child
    await new Promise<void>((resolve, reject) => {
      let said = ""
      child.stdout.on("data", (data) => {
        said += String(data)
        if (/ready to accept connections/i.test(said)) resolve()
      })
      child.once("exit", () => reject(new Error(`redis-server did not start: ${said}`)))
    })
  }

  private async down(): Promise<void> {
    const child = this.process
    if (child === undefined || child.exitCode !== null) return
    child.kill("SIGKILL")
    await once(child, "exit")
  }
}
