// Puts small defects into the pure cores, one at a time: the tests are as good as the share of them they notice.
//
//   npm run mutation
//   npm run mutation -- -m "packages/retry/src/internal/*.ts"
import { fileURLToPath } from "node:url"

const cores = {
  breaker: "machine,state,window,snapshot",
  ratelimit: "gcra,meter,queue,line,adaptive,permits",
  retry: "backoff,bucket,latency,pace,attempts,contest",
  pool: "ejection,load,roster,quorum",
  cache: "eviction,entries,commits,waiters,barrier"
}

const isProse = (path) =>
  path.isStringLiteral()
    ? path.node.value.includes(" ")
    : path.isTemplateLiteral() && path.node.quasis.some(({ value }) => value.raw.includes(" "))

/** Text with a space in it is for people to read and may change; a single word is a tag. */
export const strykerPlugins = [
  {
    kind: "Ignore",
    name: "prose",
    value: { shouldIgnore: (path) => (isProse(path) ? "for people to read" : undefined) }
  }
]

export default {
  mutate: [
    ...Object.entries(cores).map(([name, modules]) => `packages/${name}/src/internal/{${modules}}.ts`),
    "packages/rpc/src/internal/errors/*.ts"
  ],
  testRunner: "vitest",
  vitest: { configFile: "scripts/mutation/vitest.config.ts" },
  plugins: ["@stryker-mutator/vitest-runner", fileURLToPath(import.meta.url)],
  ignorers: ["prose"],
  // It would rewrite the tsconfig with TypeScript's old API, which 7 no longer has; nobody reads it.
  tsconfigFile: "none",
  coverageAnalysis: "perTest",
  concurrency: 1,
  reporters: ["progress-append-only", "clear-text", "json", "html"],
  clearTextReporter: { logTests: false, allowColor: false }
}
