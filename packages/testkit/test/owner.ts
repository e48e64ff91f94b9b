/** A program that starts a child and ends without closing it, as its second argument says. */
import * as Effect from "effect/Effect"
import { Child } from "../src/internal/child.ts"

const [, , binary, end] = process.argv

const child = new Child(binary!, [])
const listening = await Effect.runPromise(child.says(/Listening on [\d.]+:(\d+)\s/))
process.stdout.write(`${listening[1]}\n`)
process.stdin.on("data", () => {
  if (end === "throw") throw new Error("uncaught")
  process.exit(0)
})
