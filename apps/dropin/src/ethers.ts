// What an ethers application does, step by step. Each step's value or error is compared between two providers.
import {
  AbstractProvider,
  Contract,
  ContractFactory,
  type ContractTransactionResponse,
  EnsPlugin,
  type JsonRpcApiProvider,
  isError,
  Network,
  NonceManager,
  parseEther,
  type TransactionReceipt,
  type TransactionResponse,
  Wallet
} from "ethers"
import type { Contracts } from "./contracts.ts"
import { keys, reads, type Step, unsettled } from "./steps.ts"

/** The network of the program. The name service is the third contract that it deploys. */
export const network = (): Network =>
  new Network("anvil", 31337).attachPlugin(new EnsPlugin("0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0", 31337))

/** The steps of the program over a provider. Steps share what earlier ones found, and run in order. */
export const steps = (provider: JsonRpcApiProvider, contracts: Contracts, gateway: string): ReadonlyArray<Step> => {
  const alice = new Wallet(keys.alice, provider)
  const bob = new Wallet(keys.bob).address
  const found = {} as { shapes: Contract; names: string; block: string; hash: string }
  const mined = async (sent: TransactionResponse | ContractTransactionResponse) => {
    while ((await provider.getTransactionReceipt(sent.hash)) === null);
    return sent.wait()
  }
  const deploy = async ({ abi, bytecode }: Contracts["Shapes"], ...args: ReadonlyArray<unknown>) => {
    const contract = await new ContractFactory(abi as never, bytecode, alice).deploy(...(args as Array<never>))
    await mined(contract.deploymentTransaction()!)
    return contract.getAddress()
  }
  const read =
    (name: string, ...args: ReadonlyArray<unknown>) =>
    () =>
      found.shapes.getFunction(name).staticCall(...args) as Promise<unknown>
  const send = async (name: string, args: ReadonlyArray<unknown> = [], value = 0n) => {
    const sent = await found.shapes.getFunction(name).send(...args, { value })
    found.hash = sent.hash
    return mined(sent)
  }
  // ethers' own subscribers may miss a block while they begin or ask: more of them come until what was waited for has come.
  const more = async (enough: () => boolean) => {
    while (!enough()) await send("move", [bob, 0n])
  }
  return [
    ["the network", () => provider.getNetwork().then(({ chainId }) => chainId)],
    ["the head", () => provider.getBlockNumber()],
    [
      "deploys a contract",
      async () => {
        const address = await deploy(contracts.Shapes)
        found.shapes = new Contract(address, contracts.Shapes.abi as never, alice)
        return address
      }
    ],
    ["deploys another", () => deploy(contracts.Calls)],
    ["deploys a name service", async () => (found.names = await deploy(contracts.Names, bob, gateway))],
    ...reads(read),
    [
      "a function that is not there",
      () => (found.shapes.attach(bob) as Contract).getFunction("plain").staticCall() as Promise<unknown>
    ],
    ["deposits", () => send("deposit", [], parseEther("1"))],
    ["moves", () => send("move", [bob, 5n])],
    ["simulates", () => found.shapes.getFunction("move").staticCall(bob, 5n)],
    ["simulates a revert", () => found.shapes.getFunction("move").staticCall(bob, parseEther("2"))],
    ["estimates gas", () => found.shapes.getFunction("move").estimateGas(bob, 5n)],
    ["estimates gas of a revert", () => found.shapes.getFunction("move").estimateGas(bob, parseEther("2"))],
    [
      "a transaction without funds",
      () => alice.sendTransaction({ to: bob, value: parseEther("1000000"), gasLimit: 21_000 }),
      unsettled
    ],
    [
      "a transaction with a spent nonce",
      () => alice.sendTransaction({ to: bob, value: 1n, nonce: 0, gasLimit: 21_000 }),
      unsettled
    ],
    ["a signer of the node", async () => await (await provider.getSigner(0)).getAddress()],
    [
      "a transaction that the node signs",
      async () => mined(await (await provider.getSigner(0)).sendTransaction({ to: bob, value: 1n }))
    ],
    [
      "a nonce manager",
      async () => {
        const managed = new NonceManager(alice)
        const receipts: Array<TransactionReceipt | null> = []
        // One after the other: fees follow from the block before.
        for (const value of [1n, 2n]) receipts.push(await mined(await managed.sendTransaction({ to: bob, value })))
        return receipts
      }
    ],
    ["a transaction by its hash", () => provider.getTransaction(found.hash)],
    ["its receipt", () => provider.getTransactionReceipt(found.hash)],
    ["a receipt that is not there", () => provider.getTransactionReceipt(`0x${"1".repeat(64)}`)],
    [
      "a block with its transactions",
      async () => {
        const block = (await provider.getBlock("latest", true))!
        found.block = block.hash!
        return [block, block.prefetchedTransactions]
      }
    ],
    ["a block by its hash", () => provider.getBlock(found.block)],
    ["a block that is not there", () => provider.getBlock(10_000_000)],
    [
      "an account",
      async () => {
        const address = await found.shapes.getAddress()
        return Promise.all([
          provider.getBalance(alice),
          provider.getCode(address),
          provider.getTransactionCount(alice),
          provider.getStorage(address, 1)
        ])
      }
    ],
    ["fees", () => provider.getFeeData()],
    ["events", () => found.shapes.queryFilter("*" as never, 0)],
    ["events by topic", () => found.shapes.queryFilter(found.shapes.filters["Moved"]!(null, bob), 0)],
    ["a name", () => provider.resolveName("hawser.eth")],
    [
      "an answer from off the chain",
      () =>
        new Contract(found.names, contracts.Names.abi as never, provider)
          .getFunction("offchain")
          .staticCall(42n, { enableCcipRead: true })
    ],
    ["a signature", () => alice.signMessage("hawser")],
    ["invalid params", () => provider.send("eth_getBalance", ["nobody", "latest"])],
    ["an unknown method", () => provider.send("eth_hawser", []), unsettled],
    [
      "listened to events",
      async () => {
        const seen: Array<unknown> = []
        let heard = 0
        await found.shapes.on("Moved", (from: string, to: string, value: bigint) => {
          heard++
          if (value > 0n) seen.push([from, to, value])
        })
        await more(() => heard > 0)
        for (const value of [1n, 2n, 3n]) await send("move", [bob, value])
        await more(() => seen.length >= 3)
        await found.shapes.off("Moved")
        return seen
      }
    ],
    [
      "listened to blocks and a transaction",
      async () => {
        const blocks: Array<number> = []
        const receipts: Array<TransactionReceipt> = []
        await provider.on("block", (block: number) => void blocks.push(block))
        await more(() => blocks.length > 0)
        const sent = await alice.sendTransaction({ to: bob, value: 3n })
        await provider.once(sent.hash, (receipt: TransactionReceipt) => void receipts.push(receipt))
        await more(() => receipts.length > 0 && blocks.at(-1)! >= receipts[0]!.blockNumber)
        await provider.removeAllListeners()
        const rising = blocks.every((block, i) => block === blocks[0]! + i)
        return [rising, receipts.map(({ hash, status }) => [hash === sent.hash, status])]
      }
    ]
  ]
}

/** What an application can see of an error. */
export const told = (error: unknown): unknown => {
  if (!(error instanceof Error)) return String(error)
  const { action, code, data, invocation, reason, revert, shortMessage } = error as unknown as Record<string, unknown>
  return { code, action, data, invocation, reason, revert, shortMessage, exception: isError(error, "CALL_EXCEPTION") }
}

/** A value without what ties it to its provider. */
export const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value ?? null, (_, part: unknown) =>
      typeof part === "bigint" ? `${part}n` : part instanceof AbstractProvider ? undefined : part
    )
  )
