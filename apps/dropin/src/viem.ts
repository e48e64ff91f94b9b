// What a viem application does, step by step. Each step's value or error is compared between two transports.
import {
  type Abi,
  BaseError,
  createPublicClient,
  createWalletClient,
  defineChain,
  type Hex,
  namehash,
  parseEther,
  parseGwei,
  publicActions,
  type Transport
} from "viem"
import { privateKeyToAccount } from "viem/accounts"
import type { Contracts } from "./contracts.ts"
import { keys, reads, type Step, unsettled } from "./steps.ts"

const bob = privateKeyToAccount(keys.bob).address

/** The steps of the program over a transport. Steps share what earlier ones found, and run in order. */
export const steps = (transport: Transport, contracts: Contracts, gateway: string): ReadonlyArray<Step> => {
  const account = privateKeyToAccount(keys.alice)
  const found = {} as { shapes: Hex; names: Hex; multicall: Hex; block: Hex; hash: Hex; number: bigint; filter: never }
  const chainOf = () =>
    defineChain({
      id: 31337,
      name: "anvil",
      nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
      rpcUrls: { default: { http: [] } },
      contracts: {
        ...(found.multicall === undefined ? {} : { multicall3: { address: found.multicall } }),
        ...(found.names === undefined ? {} : { ensUniversalResolver: { address: found.names } })
      }
    })
  const client = () =>
    createWalletClient({ account, chain: chainOf(), transport, pollingInterval: 20, cacheTime: 0 }).extend(
      publicActions
    )
  const deploy = async (abi: Abi, bytecode: Hex, args: ReadonlyArray<unknown> = []) => {
    const wallet = client()
    const hash = await wallet.deployContract({ abi, bytecode, args })
    const { contractAddress } = await wallet.waitForTransactionReceipt({ hash })
    return contractAddress!
  }
  const shapes = (functionName: string, args: ReadonlyArray<unknown> = []) =>
    ({ abi: contracts.Shapes.abi, address: found.shapes, functionName, args }) as never
  const read =
    (functionName: string, ...args: ReadonlyArray<unknown>) =>
    () =>
      client().readContract(shapes(functionName, args))
  const send = async (functionName: string, args: ReadonlyArray<unknown> = [], value?: bigint) => {
    const wallet = client()
    const hash = await wallet.writeContract({ ...(shapes(functionName, args) as object), value } as never)
    found.hash = hash
    return wallet.waitForTransactionReceipt({ hash })
  }

  return [
    ["the chain's id", () => client().getChainId()],
    ["the head", () => client().getBlockNumber()],
    ["deploys a contract", async () => (found.shapes = await deploy(contracts.Shapes.abi, contracts.Shapes.bytecode))],
    [
      "deploys a name service",
      async () => (found.names = await deploy(contracts.Names.abi, contracts.Names.bytecode, [bob, gateway]))
    ],
    ["deploys Multicall3", async () => (found.multicall = await deploy(contracts.Calls.abi, contracts.Calls.bytecode))],
    ...reads(read),
    [
      "a function that is not there",
      () => client().readContract({ ...(shapes("plain") as object), address: bob } as never)
    ],
    ["deposits", () => send("deposit", [], parseEther("1"))],
    ["moves", () => send("move", [bob, 5n])],
    ["simulates", async () => (await client().simulateContract(shapes("move", [bob, 5n]))).result],
    ["simulates a revert", () => client().simulateContract(shapes("move", [bob, parseEther("2")]))],
    ["estimates gas", () => client().estimateContractGas(shapes("move", [bob, 5n]))],
    ["estimates gas of a revert", () => client().estimateContractGas(shapes("move", [bob, parseEther("2")]))],
    [
      "a transaction without funds",
      () => client().sendTransaction({ to: bob, value: parseEther("1000000"), gas: 21_000n }),
      unsettled
    ],
    [
      "a transaction with a spent nonce",
      () => client().sendTransaction({ to: bob, value: 1n, nonce: 0, gas: 21_000n, maxFeePerGas: parseGwei("10") }),
      unsettled
    ],
    ["a transaction by its hash", () => client().getTransaction({ hash: found.hash })],
    ["its receipt", () => client().getTransactionReceipt({ hash: found.hash })],
    ["a receipt that is not there", () => client().getTransactionReceipt({ hash: `0x${"1".repeat(64)}` })],
    [
      "a block with its transactions",
      async () => {
        const block = await client().getBlock({ includeTransactions: true })
        found.block = block.hash
        found.number = block.number
        return block
      }
    ],
    ["a block by its hash", () => client().getBlock({ blockHash: found.block })],
    ["a block that is not there", () => client().getBlock({ blockNumber: 10_000_000n })],
    [
      "an account",
      async () => {
        const [balance, code, nonce, slot] = await Promise.all([
          client().getBalance({ address: account.address }),
          client().getCode({ address: found.shapes }),
          client().getTransactionCount({ address: account.address }),
          client().getStorageAt({ address: found.shapes, slot: "0x1" })
        ])
        return { balance, code, nonce, slot }
      }
    ],
    [
      "fees",
      async () => {
        const [price, fees, history] = await Promise.all([
          client().getGasPrice(),
          client().estimateFeesPerGas(),
          client().getFeeHistory({ blockCount: 3, rewardPercentiles: [50] })
        ])
        return { price, fees, history }
      }
    ],
    ["events", () => client().getContractEvents({ abi: contracts.Shapes.abi, address: found.shapes, fromBlock: 0n })],
    [
      "events by topic",
      () =>
        client().getContractEvents({
          abi: contracts.Shapes.abi,
          address: found.shapes,
          eventName: "Moved",
          args: { to: bob },
          fromBlock: 0n
        })
    ],
    [
      "multicall, one of which reverts",
      async () => {
        const contract = { abi: contracts.Shapes.abi, address: found.shapes }
        const results = await client().multicall({
          contracts: [
            { ...contract, functionName: "plain" },
            { ...contract, functionName: "failCustom", args: [3n] },
            { ...contract, functionName: "many" }
          ]
        })
        return (results as ReadonlyArray<{ error?: unknown; result?: unknown; status: string }>).map(
          ({ error, result, status }) => ({ status, result, error: error === undefined ? undefined : told(error) })
        )
      }
    ],
    ["a name", () => client().getEnsAddress({ name: "hawser.eth" })],
    [
      "an answer from off the chain",
      () =>
        client().readContract({
          abi: contracts.Names.abi,
          address: found.names,
          functionName: "offchain",
          args: [42n]
        })
    ],
    ["a signature", () => client().signMessage({ message: "hawser" })],
    ["invalid params", () => client().request({ method: "eth_getBalance", params: ["nobody", "latest"] } as never)],
    ["an unknown method", () => client().request({ method: "eth_hawser" } as never), unsettled],
    [
      "an event filter",
      async () => {
        const wallet = client()
        const filter = await wallet.createContractEventFilter({
          abi: contracts.Shapes.abi,
          address: found.shapes
        })
        const before = await wallet.getFilterChanges({ filter })
        await send("move", [bob, 1n])
        const after = (await wallet.getFilterChanges({ filter })) as unknown as ReadonlyArray<unknown>
        return { before, after, removed: await wallet.uninstallFilter({ filter }) }
      }
    ],
    ["the namehash of a name", () => Promise.resolve(namehash("hawser.eth"))],
    ["a client without an account", () => createPublicClient({ chain: chainOf(), transport }).getBlockNumber()],
    [
      "watched events",
      async () => {
        const seen: Array<unknown> = []
        let heard = 0
        const stop = client().watchContractEvent({
          abi: contracts.Shapes.abi,
          address: found.shapes,
          eventName: "Moved",
          onLogs: (logs) => {
            heard += logs.length
            for (const { args, eventName } of logs as unknown as ReadonlyArray<Moved>) {
              if (args.value > 0n) seen.push({ args, eventName })
            }
          }
        })
        // A watcher begins with the block after the one it saw first.
        const more = async (enough: () => boolean) => {
          while (!enough()) await send("move", [bob, 0n])
        }
        await more(() => heard > 0)
        for (const value of [1n, 2n, 3n]) await send("move", [bob, value])
        await more(() => seen.length >= 3)
        stop()
        return seen
      }
    ]
  ] satisfies ReadonlyArray<Step>
}

interface Moved {
  readonly eventName: string
  readonly args: { readonly value: bigint }
}

/** What an application can see of an error: classes, short messages and decoded data, down the chain of causes. */
export const told = (error: unknown): unknown => {
  const chain: Array<unknown> = []
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { code, data, name, reason, shortMessage } = cause as unknown as Record<string, unknown>
    // The bare client's own errors end where ours keep what happened below.
    if (!(cause instanceof BaseError)) break
    chain.push({ name, code, data, reason, shortMessage })
  }
  return chain.length > 0 ? chain : String(error)
}
