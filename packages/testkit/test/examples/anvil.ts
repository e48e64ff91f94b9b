import { Anvil, FaultyNode, Scenario } from "@hawser/testkit"
import { Effect } from "effect"

export const lagging = Effect.gen(function* () {
  const anvil = yield* Anvil.make({ chainId: 1 })
  yield* anvil.rpc("anvil_mine", ["0x64"])
  return yield* FaultyNode.make({ behind: anvil.url, scenario: Scenario.behind(8) })
})
