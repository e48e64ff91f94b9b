export * as Anvil from "./Anvil.ts"
export * as FaultyNode from "./FaultyNode.ts"
export * as Interruption from "./Interruption.ts"
export * as Scenario from "./Scenario.ts"
