export * as Concurrency from "./Concurrency.ts"
export * as RateLimit from "./RateLimit.ts"
