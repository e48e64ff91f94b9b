import type { JsonRpcApiProvider } from "ethers"
import { Provider } from "hawser"
import { isInfrastructure } from "./errors.ts"

/** Where subscriptions are made, and whom they are told to. */
export interface Ground {
  readonly provider: JsonRpcApiProvider
  readonly subscribe: Provider.Provider["subscribe"]
  /** How long to wait before what failed is tried again, in milliseconds. */
  readonly patience: number
}

/** What there is to hear. */
export interface Topic {
  readonly subscribe: (listener: Provider.Listener) => Promise<{ readonly stop: () => void }>
  /** Whether what is told only says when to look: then it is looked at the beginning, too, and once for many. */
  readonly looks?: boolean
  /** What to do with what is told. Made anew for each session, which knows nothing of the one before. */
  readonly begin: () => (what: unknown) => Promise<unknown>
}

/** Hears a topic until it is stopped: one thing after the other, each as often as it takes while no node answers. */
export class Session {
  paused = false
  private readonly ground: Ground
  private readonly topic: Topic
  private readonly hear: (what: unknown) => Promise<unknown>
  private readonly told: Array<unknown> = []
  private readonly timers = new Set<number>()
  private hearing = false
  private over = false
  private end = () => {}

  constructor(ground: Ground, topic: Topic) {
    this.ground = ground
    this.topic = topic
    this.hear = topic.begin()
    void this.open()
  }

  stop(): void {
    this.over = true
    this.end()
    for (const timer of this.timers) this.ground.provider._clearTimeout(timer)
  }

  resume(): void {
    this.paused = false
    void this.drain()
  }

  private async open(): Promise<void> {
    const listener = {
      onNotification: (what: unknown) => this.tell(what),
      onLost: (error: unknown) => this.lost(error)
    }
    while (!this.over) {
      try {
        const { stop } = await this.topic.subscribe(listener)
        if (this.over) return stop()
        this.end = stop
        // After this, whatever happens is told.
        if (this.topic.looks === true) this.tell(undefined)
        return
      } catch (error) {
        if (error instanceof Provider.Closed) return
        await this.rest()
      }
    }
  }

  private lost(error: unknown): void {
    if (this.over) return
    void this.ground.provider.emit("error", error)
    void this.rest().then(() => this.open())
  }

  private tell(what: unknown): void {
    if (this.over) return
    if (this.topic.looks === true) this.told.length = 0
    this.told.push(what)
    void this.drain()
  }

  private async drain(): Promise<void> {
    if (this.hearing) return
    this.hearing = true
    while (this.told.length > 0 && !this.paused && !this.over) {
      const [what] = this.told.splice(0, 1)
      try {
        await this.hear(what)
      } catch (error) {
        if (!isInfrastructure(error)) continue
        if ((error as Error).cause instanceof Provider.Closed) return this.stop()
        if (this.topic.looks !== true || this.told.length === 0) this.told.unshift(what)
        await this.rest()
      }
    }
    this.hearing = false
  }

  // Never ends once it is over.
  private rest(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.ground.provider._setTimeout(() => {
        this.timers.delete(timer)
        resolve()
      }, this.ground.patience)
      this.timers.add(timer)
    })
  }
}
