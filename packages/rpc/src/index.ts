export * as Chain from "./Chain.ts"
export * as Http from "./Http.ts"
export * as Method from "./Method.ts"
export * as RpcError from "./RpcError.ts"
