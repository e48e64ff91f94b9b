import {
  circuitBreaker,
  ConsecutiveBreaker,
  ExponentialBackoff,
  handleAll,
  retry,
  timeout,
  TimeoutStrategy,
  wrap
} from "cockatiel"
import { createPublicClient, http } from "viem"
import { mainnet } from "viem/chains"
import { type Contender, attemptMillis } from "../Contender.ts"

/** What a careful user builds: a breaker and a timeout for each node, and retries that go on to the next. */
export const cockatiel: Contender = {
  title: "cockatiel around viem",
  under: "viem",
  batched: false,
  configuration:
    "per url: wrap(circuitBreaker(handleAll, { halfOpenAfter: 5_000, breaker: new ConsecutiveBreaker(10) }), " +
    "timeout(4_000, Aggressive)) around http(url, { retryCount: 0, timeout: 0 }); " +
    "above: retry(handleAll, { maxAttempts: 5, backoff: new ExponentialBackoff() }), a url further each time",
  packages: ["cockatiel", "viem"],
  make: (urls) => {
    const nodes = urls.map((url) => ({
      client: createPublicClient({ chain: mainnet, transport: http(url, { retryCount: 0, timeout: 0 }) }),
      policy: wrap(
        circuitBreaker(handleAll, { halfOpenAfter: 5000, breaker: new ConsecutiveBreaker(10) }),
        timeout(attemptMillis, TimeoutStrategy.Aggressive)
      )
    }))
    const again = retry(handleAll, { maxAttempts: 5, backoff: new ExponentialBackoff() })
    return {
      call: (request) =>
        again.execute(({ attempt }) => {
          const { client, policy } = nodes[attempt % nodes.length]!
          return policy.execute(({ signal }) => client.request(request as never, { signal }))
        }),
      close: () => {}
    }
  }
}
