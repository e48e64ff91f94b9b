export * as ResponseCache from "./ResponseCache.ts"
