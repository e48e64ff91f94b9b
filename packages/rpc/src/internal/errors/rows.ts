// What upstreams say and what it means. The first row that matches wins; reverts have been told apart before.
//
// A row is an idea, not a provider. Texts come first, since neither codes nor HTTP statuses are portable: -32005 is a rate
// limit, a daily quota, too wide a range or too high a gas limit; HTTP 403 is a wrong key or a plan. Every alternative is
// somebody's real words: test/errors/fixtures holds them with their sources, and a test fails for one that none needs.
import type { Row } from "./row.ts"

/** Alternatives, laid out for reading: space around `|` and the ends of lines mean nothing. */
const any = ({ raw }: TemplateStringsArray): RegExp => new RegExp(raw[0]!.trim().replace(/\s*[|\n]\s*/g, "|"))

/** Methods that run a transaction, or pretend to. */
const runs = /send|submit|call|estimate|simulate|accesslist/i

/** Methods that search logs. */
const searches = /logs|filter/i

const transactions: ReadonlyArray<Row> = [
  {
    kind: "invalid",
    pattern: any`account ?locked | password or unlock`,
    note: "The node's own account, not our access to the node: `authentication needed` is geth's word for it."
  },
  {
    kind: "known",
    nature: "write",
    pattern: any`
      already ?known | \bknown transaction | already imported | already (?:exists )?in (?:the )?mempool
      (?:transaction|tx) already exist | already have transaction | added to the mempool`,
    note: "Added to the mempool: EIP-7966, waiting for a block. \\b keeps out `unknown transaction type`."
  },
  {
    kind: "nonce",
    method: runs,
    pattern: any`nonce (?:is )?too low | oldnonce | stale nonce | nonce has already been used`
  },
  {
    kind: "transient",
    nature: "write",
    pattern: any`txpool is full | sub-pool is full`,
    ran: "no",
    note: "It did not take the transaction and says so; another pool may have room."
  },
  {
    kind: "invalid",
    nature: "write",
    pattern: any`\brlp: | transaction too short | ^invalid transaction | access list out of bounds`,
    note: "No transaction at all. On a read, `rlp:` is the node's own trouble."
  },
  {
    kind: "transaction",
    method: runs,
    pattern: any`
      insufficient ?(?:funds|balance) | upfront cost | intrinsic ?gas | exceeds block gas limit
      less than block base fee | nonce (?:is )?too high | nonce has max value | gas required exceeds allowance
      chainid does not match | invalid signature`,
    note: "The chain's answer to eth_call and eth_estimateGas, too. A pool's further words are left to its codes, below."
  },
  {
    kind: "revert",
    method: runs,
    pattern: any`
      out ?of ?gas | invalid opcode | invalid jump | stack underflow | stack limit reached | write protection
      return data out of bounds | max code size exceeded | must not begin with 0xef
      contract address collision | out of counters`,
    note: "The EVM ran and halted."
  }
]

const limits: ReadonlyArray<Row> = [
  { kind: "sender-limit", pattern: "sender is over rate limit", note: "The sequencer's, whoever forwards to it." },
  {
    kind: "range-addresses",
    pattern: any`
      less number of address | addresses or topics per search position | \d filters\. the current limit
      exceed max addresses`
  },
  {
    kind: "range",
    pattern: any`
      (?<!out of )\branges?\b[^.\n]{0,60}(?:too (?:large|wide|high)|exceed|bigger|greater than|not supported on)
      (?:maximum|max|this) (?:block )?range | exceeds the range | getlogs is limited | blocks distance | logs over more
      requested blocks | too many blocks | up to an? \d[\d,]*k? block | limit the query to | query must be smaller`,
    note: "Blocks. Before plan and quota, since many a limit comes with an offer to lift it."
  },
  {
    kind: "range",
    method: searches,
    pattern: /invalid block range(?! params)/,
    note: "Monad's too wide. With `params` it is geth's `from` beyond `to`."
  },
  {
    kind: "range",
    pattern: any`
      returned more than | max results | too many results | logs count | response (?:size|too large|is too big)
      query exceeds limit | try paginating | exceeded max (?:limit|allowed) | larger than max \(`,
    ran: "maybe",
    note: "Results and bytes: found out afterwards."
  },
  {
    kind: "range",
    pattern: any`request body too large | too many rpc calls | max batch size | batch too large`
  },
  {
    kind: "range",
    method: searches,
    pattern: any`query timeout | ^limit exceeded`,
    note: "The search took too long, or found too much."
  },
  {
    kind: "rate",
    pattern: any`per second | \b(?:qps|cups)\b`,
    note: "What is counted by the second is no quota, whatever the text wants to sell."
  },
  {
    kind: "quota",
    pattern: any`\bdaily\b | \bmonthly\b | payment required | /billing | limit for your current plan | reached the free tier`
  },
  {
    kind: "plan",
    pattern: any`
      access to archiv | archive requests require | (?:on|in) your current plan | upgrade your plan | upgrade to paid
      upgrade from \w+ plan | specify an address in your request | allowed custom traces`
  },
  {
    kind: "rate",
    pattern: any`
      rate.?limit | rate exceeded | too many (?:concurrent )?requests | requests? limit | has exceeded | credits limited to
      throttled | quota | over capacity | capacity (?:limit|exceeded) | too much load | compute unit | request units
      usage limit | concurrent requests | maximum requests | request count exceeded | upgrade your tier | free tier
      cannot fulfill request | code: (?:1015|429)\b | resourceexhausted | enhance_your_calm | ^limit exceeded`
  }
]

const data: ReadonlyArray<Row> = [
  { kind: "filter", pattern: any`(?:filter|subscription) not found` },
  {
    kind: "missing",
    pattern: any`
      \b(?:blocks?|headers?|transactions?|receipts?|state|(?:meta)?data|height)\b[^.;\n]{0,80}?(?:not (?:(?:be|yet) )?(?:found|available)|unavailable|do(?:es not|esn't) exist)`,
    note: "A part of the chain, and that it is not there."
  },
  {
    kind: "missing",
    pattern: any`
      missing trie node | trie does not | body not found | could not (?:find|be found) | cannot find
      unknown (?:block|state) | unsupported block number | no state (?:available|found|data) | no (?:receipts|tx|block) data
      no historical rpc | historical backend error | does not maintain archive | unexpected state root | ^not found$
      failed to (?:load|compute|connect to|get balance from)[^.\n]{0,20}\bstate\b`
  },
  {
    kind: "missing",
    pattern: any`
      \bprun(?:ed|ing)\b | \bpurged\b | already discarded | older than \d+ blocks | out-of-bounds | maximum proof window
      fully indexed yet | indexing is in progress | no transactions snapshot | empty reader set
      (?:leveldb|pebble): not found | bad tipset | messages for tipset | null round | evm module does not exist`,
    note: "No longer, or not indexed yet."
  },
  {
    kind: "missing",
    pattern: any`
      beyond (?:current )?head block | after last accepted block | greater than latest | height must be less than or equal
      not currently canonical | block is out of range | unfinalized | state at block | genesis is not traceable
      invalid block ?h(?:eight|ash finalized) | block height passed is invalid | expect block number from id
      code = notfound`,
    note: "Not yet, or not on this branch."
  },
  {
    kind: "missing",
    pattern: any`not a supported | malformed blocknumber | tx of type | expected blocknumber`,
    note: "A tag, a type of transaction or a form of a parameter that this node does not know. The method works."
  },
  { kind: "missing", vendor: "dRPC", pattern: "unexpected error (code=40000)", note: "A block that it does not have." }
]

const access: ReadonlyArray<Row> = [
  {
    kind: "unsupported",
    pattern: any`
      \b(?:methods?|modules?)\b[^.;\n]{0,60}?(?:not (?:found|available|allowed|enabled|whitelisted|supported|exist)|is disabled)
      (?:unsupported|unknown|access) method | \b[a-z0-9]+_[a-z0-9]+ (?:is )?not available | does not exist/is not available
      available for method | ^not supported | notifications not supported | tx ?pool disabled | pool not enabled
      code = unimplemented`
  },
  { kind: "syncing", pattern: any`\bsyncing\b | initial sync | catching up` },
  {
    kind: "auth",
    pattern: any`
      authenticat | unauthori[sz]ed | (?:api|access) ?key | key is inactive | project id | invalid jwt | token is invalid
      not allowed to access | is not enabled for this app | permissiondenied`
  },
  {
    kind: "auth",
    pattern: any`forbidden | access denied | permission denied`,
    pause: 5_000,
    note: "It may be this one request that a firewall dislikes, so the upstream is not left alone for long."
  }
]

const rest: ReadonlyArray<Row> = [
  {
    kind: "invalid",
    pattern: any`
      invalid (?:argument|input|params|request|address|hex|block (?:number|hash|range params)) | hex string
      bad address checksum | param is required | validation errors | bad request input | failed to parse(?! response)
      must be in order | is not a precompile | code = invalidargument`
  },
  { kind: "rate", status: 429 },
  { kind: "quota", status: 402 },
  { kind: "auth", status: [401, 407] },
  { kind: "auth", status: [403, 451], pause: 5_000, note: "As `forbidden`." },
  { kind: "unsupported", code: -32601 },
  { kind: "invalid", code: -32602 },
  {
    kind: "auth",
    status: [404, 405, 410, 415],
    pause: 5_000,
    note: "Nothing at this address takes JSON-RPC, or a route is wrong for a moment."
  },
  { kind: "range", status: 413 },
  { kind: "transient", status: "5xx" },
  {
    kind: "transient",
    pattern: any`
      time(?:d )?out | deadline exceeded | service unavailable | temporarily unavailable | code = unavailable
      internal error | backend`,
    note: "Before the codes: what a node in trouble says to a write is not its pool's verdict."
  },
  { kind: "rate", code: [-32005, 429] },
  { kind: "unsupported", code: -32004 },
  { kind: "missing", code: [-32001, -32002, -39001, 4444], note: "EIP-1474 and execution-apis." },
  { kind: "invalid", code: [-32600, -32700] },
  {
    kind: "invalid",
    code: [4001, 5000],
    note: "A user said no (EIP-1193, CAIP-25), and is not asked again elsewhere."
  },
  { kind: "revert", code: -32015, method: runs, note: "Nethermind's halts, which have many names." },
  {
    kind: "transaction",
    nature: "write",
    code: [-32000, -32003, -32007, -32009, -32010, -32100, 802, 803, 804, 805, 807, 808, 1001],
    note: "What else a node answers to a transaction is its pool's verdict. The last seven are of execution-apis."
  },
  { kind: "rate", vendor: "QuickNode", code: [-32007, -32009] },
  { kind: "plan", vendor: "QuickNode", code: [-32612, -32613] },
  { kind: "range", vendor: "QuickNode", code: [-32614, -32615] },
  { kind: "unsupported", vendor: "dRPC", code: 23 },
  { kind: "missing", vendor: "dRPC", code: 26 }
]

/** In the order in which they are compared. */
export const rows: ReadonlyArray<Row> = [...transactions, ...limits, ...data, ...access, ...rest]
