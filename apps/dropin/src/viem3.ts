// What an application of viem 3 does, step by step. Each step's value or error is compared between two transports.
import { Account, Actions, Chain, Client, type Transport } from "viem3"
import type { Hex } from "viem"
import type { Contracts } from "./contracts.ts"
import { keys, reads, type Step, unsettled } from "./steps.ts"

const ether = 10n ** 18n

const bob = Account.fromPrivateKey(keys.bob).address

/** The steps of the program over a transport. Steps share what earlier ones found, and run in order. */
export const steps = (transport: Transport.Transport, contracts: Contracts, gateway: string): ReadonlyArray<Step> => {
  const account = Account.fromPrivateKey(keys.alice)
  const found = {} as { shapes: Hex; names: Hex; multicall: Hex; block: Hex; hash: Hex }
  const client = () =>
    Client.create({
      account,
      chain: Chain.from({
        id: 31337,
        name: "anvil",
        nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
        contracts: {
          ...(found.multicall === undefined ? {} : { multicall3: { address: found.multicall } }),
          ...(found.names === undefined ? {} : { ensUniversalResolver: { address: found.names } })
        }
      }),
      transport,
      pollingInterval: 20,
      cacheTime: 0
    })
  const { address, block, chains, contract, ens, fee, filter, multicall, transaction } = Actions
  const mined = (hash: Hex) => transaction.waitForReceipt(client(), { hash }).receipt
  const deploy = async ({ abi, bytecode }: Contracts[keyof Contracts], args: ReadonlyArray<unknown> = []) => {
    const { contractAddress } = await mined(await contract.deploy(client(), { abi, bytecode, args }))
    return contractAddress!
  }
  const shapes = (functionName: string, args: ReadonlyArray<unknown> = []) =>
    ({ abi: contracts.Shapes.abi, address: found.shapes, functionName, args }) as never
  const read =
    (functionName: string, ...args: ReadonlyArray<unknown>) =>
    () =>
      contract.read(client(), shapes(functionName, args))
  const send = async (functionName: string, args: ReadonlyArray<unknown> = [], value?: bigint) => {
    found.hash = await contract.write(client(), { ...(shapes(functionName, args) as object), value } as never)
    return mined(found.hash)
  }

  return [
    ["the chain's id", () => chains.getId(client())],
    ["the head", () => block.getNumber(client())],
    ["deploys a contract", async () => (found.shapes = await deploy(contracts.Shapes))],
    ["deploys a name service", async () => (found.names = await deploy(contracts.Names, [bob, gateway]))],
    ["deploys Multicall3", async () => (found.multicall = await deploy(contracts.Calls))],
    ...reads(read),
    ["deposits", () => send("deposit", [], ether)],
    ["moves", () => send("move", [bob, 5n])],
    ["simulates", async () => (await contract.simulate(client(), shapes("move", [bob, 5n]))).result],
    ["simulates a revert", () => contract.simulate(client(), shapes("move", [bob, 2n * ether]))],
    ["estimates gas", () => contract.estimateGas(client(), shapes("move", [bob, 5n]))],
    ["estimates gas of a revert", () => contract.estimateGas(client(), shapes("move", [bob, 2n * ether]))],
    [
      "a transaction without funds",
      () => transaction.send(client(), { to: bob, value: 1_000_000n * ether, gas: 21_000n }),
      unsettled
    ],
    ["a transaction by its hash", () => transaction.get(client(), { hash: found.hash })],
    ["its receipt", () => transaction.getReceipt(client(), { hash: found.hash })],
    ["a receipt that is not there", () => transaction.getReceipt(client(), { hash: `0x${"1".repeat(64)}` })],
    [
      "a block with its transactions",
      async () => {
        const latest = await block.get(client(), { includeTransactions: true })
        found.block = latest.hash!
        return latest
      }
    ],
    ["a block by its hash", () => block.get(client(), { blockHash: found.block })],
    ["a block that is not there", () => block.get(client(), { blockNumber: 10_000_000n })],
    [
      "an account",
      () =>
        Promise.all([
          address.getBalance(client(), { address: account.address }),
          address.getCode(client(), { address: found.shapes }),
          address.getTransactionCount(client(), { address: account.address })
        ])
    ],
    ["fees", () => Promise.all([fee.getGasPrice(client()), fee.estimateFeesPerGas(client())])],
    ["events", () => contract.getLogs(client(), { ...(shapes("plain") as object), fromBlock: 0n } as never)],
    [
      "multicall, one of which reverts",
      async () => {
        const to = { abi: contracts.Shapes.abi, to: found.shapes }
        const calls = [
          { ...to, functionName: "plain" },
          { ...to, functionName: "failCustom", args: [3n] },
          { ...to, functionName: "many" }
        ]
        const { results } = await multicall(client(), { calls })
        return (results as ReadonlyArray<{ error?: unknown; result?: unknown; status: string }>).map(
          ({ error, result, status }) => ({ status, result, error: error === undefined ? undefined : told(error) })
        )
      }
    ],
    ["a name", () => ens.getAddress(client(), { name: "hawser.eth" })],
    [
      "an answer from off the chain",
      () =>
        contract.read(client(), {
          abi: contracts.Names.abi,
          address: found.names,
          functionName: "offchain",
          args: [42n]
        })
    ],
    ["invalid params", () => client().request({ method: "eth_getBalance", params: ["nobody" as "0x", "latest"] })],
    ["an unknown method", () => client().request({ method: "eth_hawser" }), unsettled],
    [
      "an event filter",
      async () => {
        const wallet = client()
        const made = await contract.createEventFilter(wallet, { abi: contracts.Shapes.abi, address: found.shapes })
        const before = await filter.getChanges(wallet, { filter: made })
        await send("move", [bob, 1n])
        const after = await filter.getChanges(wallet, { filter: made })
        return { before, after, removed: await filter.uninstall(wallet, { filter: made }) }
      }
    ],
    [
      "watched events",
      async () => {
        const seen: Array<unknown> = []
        let heard = 0
        const watcher = contract.watchEvent(client(), {
          abi: contracts.Shapes.abi,
          address: found.shapes,
          eventName: "Moved"
        })
        watcher.onLogs((logs) => {
          heard += logs.length
          for (const { args } of logs as unknown as ReadonlyArray<{ args: { value: bigint } }>) {
            if (args.value > 0n) seen.push(args)
          }
        })
        // A watcher begins with the block after the one it saw first.
        const more = async (enough: () => boolean) => {
          while (!enough()) await send("move", [bob, 0n])
        }
        await more(() => heard > 0)
        for (const value of [1n, 2n, 3n]) await send("move", [bob, value])
        await more(() => seen.length >= 3)
        watcher.off()
        return seen
      }
    ]
  ] satisfies ReadonlyArray<Step>
}

/** What an application can see of an error: names, short messages and decoded data, down the chain of causes. */
export const told = (error: unknown): unknown => {
  const chain: Array<unknown> = []
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { code, data, name, shortMessage } = cause as unknown as Record<string, unknown>
    // The bare client's own errors end where ours keep what happened below. A node's are named by their code.
    if (shortMessage === undefined && !String(name).startsWith("RpcResponse.")) break
    chain.push({ name, code, data, shortMessage })
  }
  return chain.length > 0 ? chain : String(error)
}
