/** Who is compared, and how each is asked. */

/** A JSON-RPC request. */
export interface Request {
  readonly method: string
  readonly params: ReadonlyArray<unknown>
}

export interface Client {
  /** Gives the result as it stands in the JSON-RPC reply, or rejects. */
  readonly call: (request: Request) => Promise<unknown>
  readonly close: () => unknown
}

/** One way to ask Ethereum nodes. */
export interface Contender {
  readonly title: string
  /** What it is asked through: it is compared with others of the same. */
  readonly under: "viem" | "ethers" | "nothing"
  readonly batched: boolean
  /** How it was set up, as code. */
  readonly configuration: string
  /** The packages whose versions matter. */
  readonly packages: ReadonlyArray<string>
  /** Takes three nodes of one chain, in the user's order. Those who know only one take the first. */
  readonly make: (urls: ReadonlyArray<string>) => Client
}

/** All nodes are of this chain. */
export const chainId = 1

/** What an attempt may take, for everybody who can be told: Hawser's default. */
export const attemptMillis = 4000

// Loaded one at a time, so that nobody pays for the code of others.
const files = {
  "hawser-viem": () => import("./contenders/hawserViem.ts").then(({ single }) => single),
  "hawser-viem-batch": () => import("./contenders/hawserViem.ts").then(({ batched }) => batched),
  "viem-http": () => import("./contenders/viem.ts").then(({ single }) => single),
  "viem-http-batch": () => import("./contenders/viem.ts").then(({ batched }) => batched),
  "viem-fallback": () => import("./contenders/viemFallback.ts").then(({ plain }) => plain),
  "viem-ranked": () => import("./contenders/viemFallback.ts").then(({ ranked }) => ranked),
  "cockatiel-viem": () => import("./contenders/cockatiel.ts").then(({ cockatiel }) => cockatiel),
  "hawser-ethers": () => import("./contenders/hawserEthers.ts").then(({ single }) => single),
  "hawser-ethers-batch": () => import("./contenders/hawserEthers.ts").then(({ batched }) => batched),
  "ethers-single": () => import("./contenders/ethers.ts").then(({ single }) => single),
  "ethers-batch": () => import("./contenders/ethers.ts").then(({ batched }) => batched),
  "ethers-fallback": () => import("./contenders/ethersFallback.ts").then(({ fallback }) => fallback),
  hawser: () => import("./contenders/hawser.ts").then(({ hawser }) => hawser),
  undici: () => import("./contenders/undici.ts").then(({ undici }) => undici)
} satisfies Readonly<Record<string, () => Promise<Contender>>>

export type Id = keyof typeof files

export const ids = Object.keys(files) as ReadonlyArray<Id>

/** Those who meet faults, and those who are timed without. Batches change what a fault takes along, so only peers that batch by default do there. */
export const inFaults: ReadonlyArray<Id> = [
  "hawser-viem",
  "viem-http",
  "viem-fallback",
  "viem-ranked",
  "cockatiel-viem",
  "hawser-ethers",
  "ethers-batch",
  "ethers-fallback"
]

export const load = (id: Id): Promise<Contender> => files[id]()
