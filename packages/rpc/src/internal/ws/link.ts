// One socket and what goes over it, from its handshake to its end. Takes the time as an argument and owns no timer: it says
// when it wants to be looked at.
import { Events } from "@hawser/core"
import { type Outcome, readItem } from "../reply.ts"
import type { Listener } from "../subscription/listener.ts"
import type { Ending, Open, Socket, Target } from "./socket.ts"

/** Why a link is over. */
export type Over =
  | ({ readonly kind: "over"; readonly reason: "connect" | "closed" | "reply" } & Ending)
  /** Nobody used it any more. */
  | { readonly kind: "idle" }

/** A request, until it is answered or given up. */
export interface Entry {
  readonly id: number
  readonly text: string
  /** Who hears what it opens, if it opens a subscription. */
  readonly listener: Listener | undefined
  /** Called once: with the reply, or with the end of the link and whether the request had been sent. */
  readonly done: (outcome: Outcome | Over, sent: boolean) => void
}

export interface Limits {
  /** Milliseconds of silence while somebody waits or listens, before the upstream is asked for a sign of life. */
  readonly silence: number
  /** Milliseconds an unused socket is kept. */
  readonly keepAlive: number
}

/** How long a handshake, and a sign of life, may take. */
const patience = { handshake: 10_000, sign: 5_000 } as const

/** Silence that is enough to ask for a sign of life once somebody has given up waiting. */
const doubt = 1_000

/** What a link needs of the upstream it belongs to. */
export interface Ground {
  readonly upstream: string
  readonly limits: Limits
  readonly now: () => number
  /** A fresh id for a request of the link's own, and the last that was given to anybody. */
  readonly nextId: () => number
  readonly lastId: () => number
  /** When it wants to be looked at may have changed. */
  readonly changed: (link: Link) => void
  /** It is over. Called before those who wait are told. */
  readonly over: (link: Link, why: Over) => void
}

export class Link {
  private readonly ground: Ground
  private readonly socket: Socket
  private state: "connecting" | "open" | "over" = "connecting"
  private readonly waiting = new Map<number, Entry>()
  /** Requests for subscriptions that nobody waits for any more: what they open is to be closed. */
  private readonly orphans = new Set<number>()
  private readonly listeners = new Map<string, Listener>()
  private readonly born: number
  private heard: number
  /** Since when something is sent and nothing heard. */
  private unheard: number | undefined
  /** Somebody gave up waiting since then. */
  private doubted = false
  /** When a sign of life was asked for. */
  private asked: number | undefined
  private idleSince: number

  constructor(ground: Ground, open: Open, target: Target) {
    this.ground = ground
    this.born = this.heard = this.idleSince = ground.now()
    this.socket = open(target, {
      onOpen: () => this.opened(),
      onMessage: (text) => this.read(text),
      onEnd: (ending) => this.end({ kind: "over", reason: this.state === "open" ? "closed" : "connect", ...ending })
    })
  }

  get connected(): boolean {
    return this.state === "open"
  }

  get inflight(): number {
    return this.waiting.size
  }

  get subscriptions(): number {
    return this.listeners.size
  }

  private get idle(): boolean {
    return this.waiting.size === 0 && this.listeners.size === 0
  }

  /** It owes a sign of life: nothing new is to be entrusted to it. */
  get hopeless(): boolean {
    return this.asked !== undefined && this.ground.now() >= this.asked + patience.sign
  }

  ask(entry: Entry): void {
    this.waiting.set(entry.id, entry)
    if (this.state === "open") this.send(entry.text)
    this.ground.changed(this)
  }

  /** Nobody waits for it any more. */
  abandon(entry: Entry): void {
    if (!this.waiting.delete(entry.id)) return
    if (this.state === "open") {
      if (entry.listener !== undefined) this.orphans.add(entry.id)
      this.doubted = this.unheard !== undefined
    }
    this.rest()
  }

  /** When it wants to be looked at. */
  get due(): number {
    const { keepAlive, silence } = this.ground.limits
    if (this.state === "over") return Infinity
    if (this.idle) return this.idleSince + keepAlive
    if (this.state === "connecting") return this.born + patience.handshake
    if (this.asked !== undefined) return this.asked + patience.sign
    return (this.unheard ?? this.heard) + (this.doubted ? doubt : silence)
  }

  /** Does what is due. */
  look(): void {
    const now = this.ground.now()
    if (this.state === "over" || now < this.due) return
    if (this.idle) return this.close({ kind: "idle" })
    if (this.state === "connecting") return this.close(fault("connect", `no handshake within ${now - this.born} ms`))
    if (this.asked !== undefined) return this.close(fault("closed", `silent for ${Math.round(now - this.heard)} ms`))
    this.asked = now
    this.send(`{"jsonrpc":"2.0","id":${this.ground.nextId()},"method":"net_version","params":[]}`)
    this.ground.changed(this)
  }

  /** Ends it. */
  close(why: Over): void {
    if (this.state === "over") return
    this.socket.close()
    this.end(why)
  }

  private opened(): void {
    this.state = "open"
    this.heard = this.ground.now()
    for (const { text } of this.waiting.values()) this.send(text)
    this.ground.changed(this)
  }

  private send(text: string): void {
    this.unheard ??= this.ground.now()
    this.socket.send(text)
  }

  private end(why: Over): void {
    if (this.state === "over") return
    const sent = this.state === "open"
    this.state = "over"
    const entries = Array.from(this.waiting.values())
    const listeners = Array.from(this.listeners.values())
    this.waiting.clear()
    this.listeners.clear()
    this.ground.over(this, why)
    for (const listener of listeners) Events.safely(() => listener.onLost(why))
    for (const entry of entries) entry.done(why, sent)
  }

  private read(text: string): void {
    if (this.state !== "open") return
    this.heard = this.ground.now()
    this.unheard = this.asked = undefined
    this.doubted = false
    let message: Message | null
    try {
      message = JSON.parse(text) as Message | null
    } catch {
      return this.close(fault("reply", `a message that is not whole JSON (${text.length} characters)`))
    }
    if (typeof message !== "object" || message === null || Array.isArray(message)) {
      this.close(fault("reply", "a message that is not a JSON-RPC response"))
    } else if (message.method !== undefined) this.notify(message)
    else this.answer(message)
  }

  private notify({ method, params }: Message): void {
    if (method !== "eth_subscription" || typeof params !== "object" || params === null) return
    const listener = this.listeners.get(idOf(params.subscription))
    if (listener !== undefined) Events.safely(() => listener.onNotification(params.result))
  }

  private answer(reply: Message): void {
    const entry = this.entryOf(reply.id)
    if (entry === undefined) return this.unexpected(reply)
    const outcome = readItem(reply, true, (id) => id !== undefined && id !== null)
    this.waiting.delete(entry.id)
    if (entry.listener !== undefined && outcome.kind === "result") this.subscribe(entry.listener, idOf(outcome.result))
    entry.done(outcome, true)
    this.rest()
  }

  private entryOf(id: unknown): Entry | undefined {
    if (id !== null && id !== undefined) return this.waiting.get(numberOf(id))
    // A node that could not read a request does not know its id; the only one it can be is that one.
    return this.waiting.size === 1 ? this.waiting.values().next().value : undefined
  }

  // The late reply to a request that was given up, a sign of life, or an answer to nothing that was asked here.
  private unexpected({ error, id, result }: Message): void {
    const number = numberOf(id)
    if (this.orphans.delete(number)) {
      if (error === undefined && result !== undefined) this.unsubscribe(idOf(result))
    } else if (!(number > 0 && number <= this.ground.lastId())) {
      this.close(fault("reply", "a reply to another request (foreign id)"))
    }
  }

  private subscribe(listener: Listener, id: string): void {
    this.listeners.set(id, listener)
    const cancel = () => {
      if (this.listeners.get(id) !== listener) return
      this.listeners.delete(id)
      this.unsubscribe(id)
      this.rest()
    }
    Events.safely(() => listener.onOpen({ upstream: this.ground.upstream, id, cancel }))
  }

  // What the node says to that changes nothing.
  private unsubscribe(id: string): void {
    const own = this.ground.nextId()
    this.send(`{"jsonrpc":"2.0","id":${own},"method":"eth_unsubscribe","params":[${JSON.stringify(id)}]}`)
  }

  private rest(): void {
    if (this.idle) this.idleSince = this.ground.now()
    this.ground.changed(this)
  }
}

/** A reply, or a notification. */
interface Message {
  readonly id?: unknown
  readonly result?: unknown
  readonly error?: unknown
  readonly method?: unknown
  readonly params?: { readonly subscription?: unknown; readonly result?: unknown } | null
}

// A string everywhere but for a few nodes that count.
const idOf = (subscription: unknown): string =>
  typeof subscription === "string" ? subscription : JSON.stringify(subscription)

const numberOf = (id: unknown): number => (typeof id === "number" || typeof id === "string" ? Number(id) : NaN)

const fault = (reason: "connect" | "closed" | "reply", message: string): Over => ({ kind: "over", reason, message })
