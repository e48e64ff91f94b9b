// The tests that answer for the pure cores: all of a primitive's, and of rpc those of the errors.
import { basename, join } from "node:path"
import { BaseSequencer, type TestSpecification } from "vitest/node"
import { defineConfig } from "vitest/config"

const root = join(import.meta.dirname, "../..")

const project = (name: string, include: Array<string>) => ({
  root: join(root, "packages", name),
  test: { name: `@hawser/${name}`, include, isolate: false, testTimeout: 120_000, hookTimeout: 120_000 }
})

/** A core's own tests, whose names are in lower case, come before those of the shell: they find most, and quickly. */
class CoresFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const rank = ({ moduleId }: TestSpecification) => (/^[a-z]/.test(basename(moduleId)) ? 0 : 1)
    return files.toSorted((a, b) => rank(a) - rank(b))
  }
}

export default defineConfig({
  root,
  test: {
    sequence: { sequencer: CoresFirst },
    projects: [
      ...["breaker", "cache", "pool", "ratelimit", "retry"].map((name) => project(name, ["test/**/*.test.ts"])),
      project("rpc", ["test/errors/*.test.ts", "test/RpcError.test.ts"])
    ]
  }
})
