import { UpstreamPool } from "hawser"
import { type Group, ours } from "../Cases.ts"
import { made } from "../Harness.ts"
import { sync } from "./works.ts"

/** A pool of so many. */
export const poolOf = (size: number): UpstreamPool.UpstreamPool<number> =>
  made(UpstreamPool.make(Array.from({ length: size }, (_, i) => ({ name: `upstream ${i}`, upstream: i }))))

// Neither Effect nor the libraries measured here choose among upstreams.
export const pool: Group = {
  name: "pool",
  about: "pick and settle, of three",
  cases: () => {
    const three = poolOf(3)
    const turns = made(
      UpstreamPool.make(
        ["a", "b", "c"].map((name) => ({ name, upstream: name })),
        { balance: "weight" }
      )
    )
    return [
      ours("UpstreamPool", () => three.execute(sync), { times: 4 }),
      ours("UpstreamPool, in turn", () => turns.execute(sync))
    ]
  }
}
