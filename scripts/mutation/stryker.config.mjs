import { fileURLToPath } from "node:url"
import { cores, name, report } from "./cores.mjs"

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
  mutate: [`packages/${name}/src/internal/${cores[name].mutate}`],
  testRunner: "vitest",
  vitest: { configFile: "scripts/mutation/vitest.config.ts" },
  plugins: ["@stryker-mutator/vitest-runner", fileURLToPath(import.meta.url)],
  ignorers: ["prose"],
  // It would rewrite the tsconfig with TypeScript's old API, which 7 no longer has; nobody reads it.
  tsconfigFile: "none",
  coverageAnalysis: "perTest",
  reporters: ["progress-append-only", "clear-text", "json", "html"],
  jsonReporter: { fileName: report(name) },
  htmlReporter: { fileName: `reports/mutation/${name}.html` },
  clearTextReporter: { logTests: false, allowColor: false }
}
