import { RpcError } from "@hawser/rpc"

const table = RpcError.extend([{ kind: "quota", pattern: "team budget spent", pause: 600_000 }])

const read = (code: number, message: string, status = 200) =>
  RpcError.classify({ method: "eth_call", nature: "read", status, error: { code, message } }, Date.now(), table)

console.log(read(-32005, "daily request count exceeded, request rate limited").kind) // quota
console.log(read(429, "compute units exceeded, try again in 250ms").retryAfter?.toString()) // 250 millis
console.log(read(-32602, "query exceeds max block range 100000").hints) // { range: { blocks: 100000 } }
console.log(read(-32000, "team budget spent", 403).kind) // quota
console.log(read(3, "execution reverted: rate limit exceeded").kind) // revert
