import { basename, join } from "node:path"
import { BaseSequencer, type TestSpecification } from "vitest/node"
import { defineConfig } from "vitest/config"
import { cores, name } from "./cores.mjs"

const root = join(import.meta.dirname, "../..")

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
      {
        root: join(root, "packages", name),
        test: {
          name: `@hawser/${name}`,
          include: cores[name as keyof typeof cores].tests,
          isolate: false,
          testTimeout: 120_000,
          hookTimeout: 120_000
        }
      }
    ]
  }
})
