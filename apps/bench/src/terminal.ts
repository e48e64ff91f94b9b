/** What the two commands have in common. */
import * as os from "node:os"

// Whoever reads the output may leave before the end.
process.stdout.once("error", () => process.exit(1))

export const say = (text: string): void => void process.stdout.write(`${text}\n`)

/** Those that are named, separated by commas or one by one, or all. */
export const chosen = <A extends string>(all: ReadonlyArray<A>, named: ReadonlyArray<string>): ReadonlyArray<A> => {
  const wanted = named.flatMap((list) => list.split(","))
  const unknown = wanted.find((name) => !all.includes(name as A))
  if (unknown !== undefined) throw new Error(`there is no ${unknown}, only ${all.join(", ")}`)
  return wanted.length === 0 ? all : all.filter((name) => wanted.includes(name))
}

/** Says so if the machine has other things to do. */
export const warnIfBusy = (): void => {
  const [load] = os.loadavg()
  const cores = os.availableParallelism()
  if (load! < cores / 2) return
  say(`The machine is busy: ${load!.toFixed(1)} processes want its ${cores} cores. The numbers will not mean much.\n`)
}
