export * as Breaker from "./Breaker.ts"
