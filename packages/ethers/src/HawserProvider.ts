import { Provider, type Stack } from "hawser"
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
import { answerOf, isInfrastructure, toEthersError } from "./internal/errors.ts"
import { subscriberOf } from "./internal/subscribers.ts"

/** Where answers come from: URLs (or upstreams with options), a layer, a client, or a provider that is shared. */
export type Source =
  | string
  | ReadonlyArray<string | URL | Stack.Upstream>
  | Exclude<Provider.Source, Stack.Options>
  | Provider.Provider

/** Options of the default stack, and the one of ethers' own that still means something. */
export interface Options extends Omit<Stack.Options, "upstreams" | "chainId"> {
  /**
   * How often, in milliseconds, to look for new blocks where no upstream tells of them. Default 4,000, as in ethers. Of a
   * shared client its own holds.
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
 * first needed. Requests leave at once: ethers' batching, its timers and its cache are not in the path.
 */
export class HawserProvider extends JsonRpcApiProvider {
  readonly #provider: Provider.Provider
  readonly #shared: boolean
  /** Rejects those who wait for a transaction. */
  readonly #waiting = new Set<(error: Error) => void>()
  readonly #guarded = new WeakMap<Listener, Listener>()
  #detected: Promise<Network> | undefined

  constructor(source: Source, network?: Networkish, options: Options = {}) {
    const { pollingInterval = 4_000, subscription, ...stack } = options
    const given = network === undefined ? undefined : Network.from(network)
    super(given, {
      batchMaxCount: 1,
      cacheTimeout: -1,
      pollingInterval,
      ...(given === undefined ? {} : { staticNetwork: given })
    })
    this.#shared = !(typeof source === "string" || Array.isArray(source))
    const following = subscription === false ? false : { interval: pollingInterval, ...subscription }
    this.#provider = open(source, { ...stack, subscription: following }, given)
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

  override send(method: string, params: Array<unknown> | Record<string, unknown>): Promise<unknown> {
    if (this.destroyed) return Promise.reject(cancelled(method))
    const payload = { id: 0, jsonrpc: "2.0" as const, method, params: params as Array<unknown> }
    return this.#provider.request({ method, params: payload.params }).catch((error: unknown) => {
      const answer = answerOf(error)
      throw answer === undefined ? toEthersError(error, method) : this.getRpcError(payload, { id: 0, error: answer })
    })
  }

  override async _send(payload: JsonRpcPayload | Array<JsonRpcPayload>): Promise<Array<JsonRpcResult | JsonRpcError>> {
    const payloads = Array.isArray(payload) ? payload : [payload]
    return Promise.all(
      payloads.map(async ({ id, method, params }) => {
        try {
          return { id, result: await this.#provider.request({ method, params: params as Array<unknown> }) }
        } catch (error) {
          const answer = answerOf(error)
          if (answer === undefined) throw toEthersError(error, method)
          return { id, error: answer }
        }
      })
    )
  }

  // ethers asks for the chain before each operation unless it is static, and logs to the console while it fails.
  override _detectNetwork(): Promise<Network> {
    const given = this._getOption("staticNetwork")
    if (given instanceof Network) return Promise.resolve(given)
    this.#detected ??= this.send("eth_chainId", []).then(
      (chainId) => Network.from(BigInt(chainId as string)),
      (error: unknown) => {
        this.#detected = undefined
        throw error
      }
    )
    return this.#detected
  }

  override _getSubscriber(event: Subscription): Subscriber {
    const { subscribe } = this.#provider
    const patience = this._getOption("pollingInterval") ?? 4_000
    return subscriberOf({ provider: this, subscribe, patience }, event) ?? super._getSubscriber(event)
  }

  override on(event: ProviderEvent, listener: Listener): Promise<this> {
    return super.on(event, this.#guard(listener))
  }

  override once(event: ProviderEvent, listener: Listener): Promise<this> {
    return super.once(event, this.#guard(listener))
  }

  override off(event: ProviderEvent, listener?: Listener): Promise<this> {
    return super.off(event, listener === undefined ? undefined : this.#guard(listener))
  }

  // ethers' own listeners ask the nodes and let the rejection go unhandled. That is for the next block to make good; what a
  // listener of the application throws stays as visible as it was.
  #guard(listener: Listener): Listener {
    let guarded = this.#guarded.get(listener)
    if (guarded === undefined) {
      guarded = (...args: Array<unknown>) => {
        const result: unknown = Reflect.apply(listener, this, args)
        if (result instanceof Promise) {
          result.catch((error: unknown) => {
            if (!isInfrastructure(error)) throw error
          })
        }
      }
      this.#guarded.set(listener, guarded)
    }
    return guarded
  }

  // ethers' own logs to the console while nodes fail.
  override async waitForTransaction(
    hash: string,
    confirms: number | null = 1,
    timeout?: number | null
  ): Promise<TransactionReceipt | null> {
    if (confirms === 0) return this.getTransactionReceipt(hash)
    return new Promise((resolve, reject) => {
      const finish = () => {
        this.#waiting.delete(fail)
        if (timer !== undefined) this._clearTimeout(timer)
        void this.off("block", look)
      }
      const fail = (error: Error) => {
        finish()
        reject(error)
      }
      const look = async () => {
        const receipt = await this.getTransactionReceipt(hash)
        if (receipt === null || (await this.getBlockNumber()) - receipt.blockNumber + 1 < (confirms ?? 1)) return
        finish()
        resolve(receipt)
      }
      const timer =
        timeout == null
          ? undefined
          : this._setTimeout(
              () => fail(makeError("timeout", "TIMEOUT", { operation: "wait", reason: "timeout" })),
              timeout
            )
      this.#waiting.add(fail)
      void this.on("block", look)
      look().catch(() => {})
    })
  }

  /** Rejects what is pending, stops every subscription and closes every socket. A shared client stays open. */
  override destroy(): void {
    super.destroy()
    for (const fail of this.#waiting) fail(cancelled("waitForTransaction"))
    if (!this.#shared) void this.#provider.close()
  }
}

const open = (source: Source, options: object, network: Network | undefined): Provider.Provider => {
  if (typeof source === "string" || Array.isArray(source)) {
    const upstreams = typeof source === "string" ? [source] : (source as ReadonlyArray<string | URL | Stack.Upstream>)
    return Provider.make({
      ...options,
      upstreams,
      ...(network === undefined ? {} : { chainId: Number(network.chainId) })
    })
  }
  return Provider.isProvider(source) ? source : Provider.make(source as Provider.Source)
}

const cancelled = (operation: string): Error =>
  makeError("provider destroyed; cancelled request", "UNSUPPORTED_OPERATION", { operation })
