// What the layers of one pool share.
import { Events } from "@hawser/core"
import type { Block, Change, Heads } from "../heads.ts"
import { ChainState } from "./chainState.ts"
import type { Evidence } from "./evidence.ts"
import type { Fork } from "./history.ts"
import type { Looker } from "./looker.ts"
import { Signal } from "./signal.ts"
import type { Tracker } from "./tracker.ts"

export type Tag = "latest" | "safe" | "finalized"

export interface Settings {
  readonly lag: "wait" | "serve"
  readonly tolerance: { readonly blocks: number; readonly time: number }
  /** Milliseconds, as all times here. */
  readonly blockTime: number
  readonly track: ReadonlyArray<Tag>
  readonly memory: number
}

export class Shared implements Heads {
  readonly settings: Settings
  readonly state: ChainState
  readonly signal = new Signal()
  readonly lookers = new Map<Tracker, Looker>()
  private readonly hub = Events.make<Change>()
  private readonly polls: Map<Tag, { next: number; failures: number }>

  constructor(settings: Settings) {
    this.settings = settings
    this.state = new ChainState({ ...settings.tolerance, blockTime: settings.blockTime }, this.hub.emit)
    this.polls = new Map(settings.track.map((tag) => [tag, { next: -Infinity, failures: 0 }]))
  }

  readonly latest = (): Block | undefined => this.state.history.latest
  readonly safe = (): Block | undefined => this.state.safe
  readonly finalized = (): Block | undefined => this.state.finalized
  readonly hashAt = (number: number): string | undefined => this.state.history.at(number)?.hash
  readonly floor = (): number | undefined => this.state.floor
  readonly on: Heads["on"] = (listener) => this.hub.on(listener)

  /** How often an upstream is asked for its head while somebody waits for it, in milliseconds. */
  get urgent(): number {
    return Math.max(50, Math.min(1_500, this.state.blockTime / 8))
  }

  observe(
    tracker: Tracker,
    seen: Evidence,
    now: number,
    told: boolean,
    unopposed: boolean,
    since?: number
  ): Fork | undefined {
    const fork = this.state.observe(tracker, seen, now, told, unopposed, since)
    this.signal.poke()
    const looker = this.lookers.get(tracker)
    if (fork !== undefined) looker?.trace(fork.from)
    // Its chain is another now: how high?
    if (this.state.isLeft(tracker)) looker?.look(now, this.urgent)
    return fork
  }

  /** Has those looked at who may be behind a block. */
  lookAt(needed: number, now: number, every: number, patience?: "in line" | "now or never"): void {
    for (const [tracker, looker] of this.lookers) if (tracker.height < needed) looker.look(now, every, patience)
  }

  /** Whether somebody who was asked after that time has yet to answer. */
  isLooking(since: number): boolean {
    for (const looker of this.lookers.values()) if (looker.isAsked(since)) return true
    return false
  }

  get tracks(): boolean {
    return this.polls.size > 0
  }

  /** Follows what is to be followed, through an upstream that is being asked anyway. */
  poll(looker: Looker, now: number): void {
    const every = this.state.blockTime
    for (const [tag, poll] of this.polls) {
      if (tag === "latest") looker.look(now, every)
      else if (now >= poll.next) {
        poll.next = now + every * 2 ** Math.min(6, poll.failures)
        looker.tag(tag, (known) => {
          poll.failures = known ? 0 : poll.failures + 1
        })
      }
    }
  }
}
