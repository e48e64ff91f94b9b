import { JsonRpc, type Provider, type Stack, type Subscription as Following } from "hawser"
import {
  JsonRpcApiProvider,
  type JsonRpcApiProviderOptions,
  type JsonRpcError,
  type JsonRpcPayload,
  type JsonRpcResult,
  type Listener,
  makeError,
  Network,
  type Networkish,
  type ProviderEvent,
  type Subscriber,
  type Subscription,
  type TransactionReceipt
} from "ethers"
import { answerOf, isCall, toEthersError } from "./internal/errors.ts"
import { Guards } from "./internal/guards.ts"
import { open, type Source } from "./internal/source.ts"
import { subscriberOf } from "./internal/subscribers.ts"
import { Waits } from "./internal/waits.ts"

export type { Source } from "./internal/source.ts"

/** Options of the default stack, and the one of ethers' own that still means something. */
export interface Options extends Omit<Stack.Options, "upstreams" | "chainId" | "subscription"> {
  /** How blocks and logs are followed for those who listen to events. */
  readonly subscription?: Following.Options | undefined
  /**
   * How often, in milliseconds, to look for new blocks where no upstream tells of them, and to try again what failed.
   * Default 4,000, as in ethers. Of a shared provider its own holds.
   */
  readonly pollingInterval?: JsonRpcApiProviderOptions["pollingInterval"] | undefined
}

/**
 * An ethers provider over many upstreams.
 *
 * ```ts
 * const provider = new HawserProvider(["https://a", "https://b"], 1)
 * ```
 *
 * The network is the chain that upstreams must be of, and is not asked for again. Without one it is asked once, when
 * first needed. Requests leave at once: ethers' batching, its timers and its cache are not in the path. Events come from
 * subscriptions: blocks and logs in order, each once, whichever upstream tells of them.
 */
export class HawserProvider extends JsonRpcApiProvider {
  readonly #provider: Provider.Provider
  readonly #shared: boolean
  readonly #patience: number
  /** Ends what this provider has asked of a shared one. */
  readonly #ending = new AbortController()
  /** Rejects those who wait for a transaction by `waitForTransaction`. */
  readonly #waiting = new Set<(error: Error) => void>()
  readonly #waits = new Waits()
  readonly #timers = new Map<number, () => void>()
  readonly #guards = new Guards()
  #nextId = 1
  /** Whether anybody has ever listened to "debug": until then, telling of requests costs nothing. */
  #debugged = false
  #detected: Promise<Network> | undefined

  constructor(source: Source, network?: Networkish, options: Options = {}) {
    const { pollingInterval = 4_000, subscription, ...stack } = options
    // Not for `null`, of which ethers would make mainnet.
    const given = network == null ? undefined : Network.from(network)
    super(given, {
      batchMaxCount: 1,
      cacheTimeout: -1,
      pollingInterval,
      ...(given === undefined ? {} : { staticNetwork: given })
    })
    const chain = given === undefined ? {} : { chainId: Number(given.chainId) }
    const { provider, shared } = open(source, { ...stack, ...chain }, { interval: pollingInterval, ...subscription })
    this.#provider = provider
    this.#shared = shared
    this.#patience = pollingInterval
    // Marks the provider as ready. With a network it starts nothing; without one it would ask for it again and again.
    if (given !== undefined) this._start()
  }

  /** Every upstream, what is known of it, and why it is left out. */
  status(): Stack.Status {
    return this.#provider.status()
  }

  /** Calls `listener` for each event of the layers. Returns the function that stops it. */
  onEvent(listener: Parameters<Provider.Provider["on"]>[0]): () => void {
    return this.#provider.on(listener)
  }

  // What ethers' own does, without its queue. Debuggers are told before the caller has its answer.
  override async send(method: string, params: Array<unknown> | Record<string, unknown>): Promise<unknown> {
    const payload: JsonRpcPayload = { method, params, id: this.#nextId++, jsonrpc: "2.0" }
    if (this.#debugged) void this.emit("debug", { action: "sendRpcPayload", payload })
    let result
    try {
      result = await this._send(payload)
    } catch (error) {
      if (this.#debugged) await this.emit("debug", { action: "receiveRpcError", error })
      throw error
    }
    if (this.#debugged) await this.emit("debug", { action: "receiveRpcResult", result })
    const [answer] = result as [JsonRpcResult | JsonRpcError]
    if ("error" in answer) throw this.getRpcError(payload, answer)
    return answer.result
  }

  override async _send(payload: JsonRpcPayload | Array<JsonRpcPayload>): Promise<Array<JsonRpcResult | JsonRpcError>> {
    return Array.isArray(payload)
      ? Promise.all(payload.map((each) => this.#answer(each)))
      : [await this.#answer(payload)]
  }

  async #answer({ id, method, params }: JsonRpcPayload): Promise<JsonRpcResult | JsonRpcError> {
    try {
      return { id, result: await this.#ask(method, params) }
    } catch (error) {
      const answer = answerOf(error)
      if (answer === undefined || (isCall(method) && !(error instanceof JsonRpc.Rejected))) {
        throw toEthersError(error, method)
      }
      return { id, error: answer }
    }
  }

  #ask(method: string, params: Array<unknown> | Record<string, unknown>): Promise<unknown> {
    if (this.destroyed) return Promise.reject(destroyed(method))
    const request = { method, params: params as Array<unknown> }
    if (!this.#shared) return this.#provider.request(request)
    return this.#provider.request(request, { signal: this.#ending.signal }).catch((error: unknown) => {
      throw error === this.#ending.signal.reason ? destroyed(method) : error
    })
  }

  // ethers asks for the chain before each operation unless it is static, and logs to the console while it fails.
  override _detectNetwork(): Promise<Network> {
    const given = this._getOption("staticNetwork")
    if (given instanceof Network) return Promise.resolve(given)
    this.#detected ??= this.send("eth_chainId", []).then(
      (chainId) => {
        this._start()
        return Network.from(BigInt(chainId as string))
      },
      (error: unknown) => {
        this.#detected = undefined
        throw error
      }
    )
    return this.#detected
  }

  override _getSubscriber(event: Subscription): Subscriber {
    const ground = { provider: this, subscribe: this.#provider.subscribe, patience: this.#patience }
    return subscriberOf(ground, event) ?? super._getSubscriber(event)
  }

  override on(event: ProviderEvent, listener: Listener): Promise<this> {
    this.#debugged ||= event === "debug"
    this.#waits.add(event, listener)
    return super.on(event, this.#guards.of(listener))
  }

  override once(event: ProviderEvent, listener: Listener): Promise<this> {
    this.#debugged ||= event === "debug"
    return super.once(event, this.#guards.of(listener))
  }

  override off(event: ProviderEvent, listener?: Listener): Promise<this> {
    if (listener === undefined) return super.off(event)
    this.#waits.delete(listener)
    return super.off(event, this.#guards.of(listener))
  }

  override async listeners(event?: ProviderEvent): Promise<Array<Listener>> {
    return (await super.listeners(event)).map((listener) => this.#guards.original(listener))
  }

  // ethers' own logs to the console while nodes fail.
  override async waitForTransaction(
    hash: string,
    confirms?: number | null,
    timeout?: number | null
  ): Promise<TransactionReceipt | null> {
    const enough = confirms ?? 1
    if (enough === 0) return this.getTransactionReceipt(hash)
    return new Promise((resolve, reject) => {
      if (this.destroyed) return reject(destroyed("waitForTransaction"))
      const finish = () => {
        this.#waiting.delete(fail)
        if (timer !== undefined) this._clearTimeout(timer)
        void this.off(hash, look)
      }
      const fail = (error: Error) => {
        finish()
        reject(error)
      }
      const look = async (receipt: TransactionReceipt) => {
        if (enough > 1 && (await receipt.confirmations()) < enough) return
        finish()
        resolve(receipt)
      }
      const late = () => fail(makeError("timeout", "TIMEOUT", { operation: "wait", reason: "timeout" }))
      const timer = timeout == null ? undefined : this._setTimeout(late, timeout)
      this.#waiting.add(fail)
      this.on(hash, look).catch(fail)
    })
  }

  override _setTimeout(run: () => void, timeout?: number): number {
    const id = super._setTimeout(() => {
      this.#timers.delete(id)
      run()
    }, timeout)
    this.#timers.set(id, run)
    return id
  }

  override _clearTimeout(id: number): void {
    this.#timers.delete(id)
    super._clearTimeout(id)
  }

  /**
   * Rejects what is pending, `wait()` of transactions included, stops every subscription and closes every socket. A shared
   * provider stays open.
   */
  override destroy(): void {
    for (const fail of this.#waiting) fail(destroyed("waitForTransaction"))
    this.#waits.reject(destroyed("wait"))
    void this.removeAllListeners()
    // What is left is a signer's that will look again for what it has sent: it looks at once, and finds this destroyed.
    const left = [...this.#timers.values()]
    super.destroy()
    if (this.#shared) this.#ending.abort()
    else void this.#provider.close()
    for (const look of left) look()
  }
}

const destroyed = (operation: string): Error =>
  makeError("provider destroyed; cancelled request", "UNSUPPORTED_OPERATION", { operation })
