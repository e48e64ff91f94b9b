export * as UpstreamPool from "./UpstreamPool.ts"
