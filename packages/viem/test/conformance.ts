// What the transport does for any viem: each entry point runs the same tests, and viem's own `http()` is the measure.
import { describe } from "@effect/vitest"
import { errors } from "./conformance/errors.ts"
import { requests } from "./conformance/requests.ts"
import { subscriptions } from "./conformance/subscriptions.ts"
import { upstreams } from "./conformance/upstreams.ts"
import type { Viem } from "./support/Viem.ts"

export const conformance = <T>(viem: Viem<T>): void => {
  describe(`over ${viem.name}`, () => {
    upstreams(viem)
    requests(viem)
    errors(viem)
    subscriptions(viem)
  })
}
