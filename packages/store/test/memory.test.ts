import { describe } from "@effect/vitest"
import { conformance } from "./conformance.ts"
import { memory } from "./support/worlds.ts"

describe("Memory", () => {
  conformance(memory)
})
