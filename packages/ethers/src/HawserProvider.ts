import { Provider, type Stack } from "hawser"
import {
  JsonRpcApiProvider,
  type JsonRpcApiProviderOptions,
  type JsonRpcError,
  type JsonRpcPayload,
  type JsonRpcResult,
  makeError,
  Network,
  type Networkish
} from "ethers"
import { answerOf, toEthersError } from "./internal/errors.ts"

/** Where answers come from: URLs (or upstreams with options), a layer, a client, or a provider that is shared. */
export type Source =
  | string
  | ReadonlyArray<string | URL | Stack.Upstream>
  | Exclude<Provider.Source, Stack.Options>
  | Provider.Provider

/** Options of the default stack, and those of ethers' own that still mean something. */
export interface Options
  extends
    Omit<Stack.Options, "upstreams" | "chainId">,
    Pick<JsonRpcApiProviderOptions, "polling" | "pollingInterval"> {}

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
  #detected: Promise<Network> | undefined

  constructor(source: Source, network?: Networkish, options: Options = {}) {
    const { polling, pollingInterval, ...stack } = options
    const given = network === undefined ? undefined : Network.from(network)
    super(given, {
      batchMaxCount: 1,
      cacheTimeout: -1,
      ...(given === undefined ? {} : { staticNetwork: given }),
      ...(polling === undefined ? {} : { polling }),
      ...(pollingInterval === undefined ? {} : { pollingInterval })
    })
    this.#shared = !(typeof source === "string" || Array.isArray(source))
    this.#provider = open(source, stack, given)
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

  /** Rejects what is pending, stops every subscription and closes every socket. A shared client stays open. */
  override destroy(): void {
    super.destroy()
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
