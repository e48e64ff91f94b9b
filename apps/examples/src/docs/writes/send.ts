import { Effect } from "effect"
import { JsonRpc, Stack, Write } from "hawser"

const live = Stack.layer({ upstreams: ["https://ethereum-rpc.publicnode.com", "https://eth.drpc.org"] })

// EIP-155's example.
const raw =
  "0xf86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"

const program = Effect.gen(function* () {
  const rpc = yield* JsonRpc.client<Stack.Error>()
  const hash = yield* rpc.request(JsonRpc.makeRequest("eth_sendRawTransaction", [raw]))
  return hash === Write.hash(raw) ? "accepted" : hash
}).pipe(
  Effect.catchTags({
    Rejected: ({ kind, message }) => Effect.succeed(`not accepted (${kind}): ${message}`),
    NoAnswer: (error) => Effect.succeed(error instanceof Write.InDoubt ? `look for ${error.hash}` : "not accepted"),
    DeadlineExceeded: () => Effect.succeed(`look for ${Write.hash(raw)}`)
  })
)

console.log(await Effect.runPromise(Effect.provide(program, live))) // accepted
