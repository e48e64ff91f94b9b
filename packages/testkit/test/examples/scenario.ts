import { Scenario } from "@hawser/testkit"

// 40 ms at the median, 400 ms at the 99th percentile; log queries are rate limited three times;
// one connection in twenty breaks; after ten seconds the node is gone for five.
export const storm = Scenario.together(
  Scenario.latency({ p50: "40 millis", p99: "400 millis" }),
  Scenario.firstOf(
    Scenario.timeline([{ for: "10 seconds" }, { for: "5 seconds", fault: Scenario.refuse }]),
    Scenario.when({ method: "eth_getLogs" }, Scenario.first(3, Scenario.status(429, { retryAfter: "1 second" }))),
    Scenario.sometimes(0.05, Scenario.drop)
  )
)
