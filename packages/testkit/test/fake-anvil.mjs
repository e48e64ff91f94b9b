/**
 * Stands in for anvil: says what anvil says when it listens, and answers what it was started with.
 *
 * Arguments of its own: `--fail` says why and exits, `--mute` never listens, `--noise` writes more than a pipe holds.
 */
import { createServer } from "node:http"

const args = process.argv.slice(2)

if (args.includes("--fail")) {
  console.error("Error: the fork's endpoint is unreachable")
  process.exit(1)
}

const answers = {
  eth_chainId: () => ({ result: args[args.indexOf("--chain-id") + 1] }),
  fake_args: () => ({ result: args }),
  fake_params: (params) => ({ result: params }),
  fake_fail: () => ({ error: { code: 3, message: "execution reverted", data: "0xdead" } })
}

const server = createServer(async (request, response) => {
  let body = ""
  for await (const chunk of request) body += chunk
  const { id, method, params } = JSON.parse(body)
  response.end(JSON.stringify({ jsonrpc: "2.0", id, ...answers[method](params) }))
})

if (!args.includes("--mute")) {
  server.listen(0, "127.0.0.1", () => {
    console.log(`\n   anvil\n\nListening on 127.0.0.1:${server.address().port}`)
    if (args.includes("--noise")) console.log("noise\n".repeat(100_000))
  })
} else {
  setInterval(() => {}, 60_000)
}
