export * as Memory from "./Memory.ts"
export * as Redis from "./Redis.ts"
export * as Sqlite from "./Sqlite.ts"
export * as Store from "./Store.ts"
