export * as Interruption from "./Interruption.ts"
