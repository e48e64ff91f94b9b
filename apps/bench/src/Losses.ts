/** Where a peer is better than Hawser under the same library: more than chance makes of it. */
import { cpuPer100k } from "./Budgets.ts"
import { count, number, percent, time } from "./format.ts"
import type { FaultCell, Faults, Load, LoadCell, Run } from "./Results.ts"

interface Measure<A> {
  readonly says: string
  /** Whether the peer's is better by more than noise. */
  readonly better: (peer: A, ours: A) => boolean
  readonly show: (cell: A) => string
}

const wrong = ({ back, untrue }: FaultCell): number => back + untrue

// Who answers less has it easy to be quick, quiet and cheap.
const asMuch = (peer: FaultCell, ours: FaultCell): boolean => peer.answered >= ours.answered - ours.calls / 100

const sooner = (peer: number | null, ours: number | null): boolean =>
  peer !== null && (ours === null || peer < 0.9 * ours - 2)

const inFaults: ReadonlyArray<Measure<FaultCell>> = [
  {
    says: "answers more calls",
    better: (peer, ours) => peer.answered > ours.answered + Math.max(1, ours.calls / 1000),
    show: ({ answered, calls }) => percent(answered, calls)
  },
  {
    says: "gives fewer wrong answers",
    better: (peer, ours) => asMuch(peer, ours) && wrong(peer) < wrong(ours),
    show: (cell) => String(wrong(cell))
  },
  {
    says: "has 99 of 100 calls answered sooner",
    better: (peer, ours) => sooner(peer.p99, ours.p99),
    show: ({ p99 }) => time(p99)
  },
  {
    says: "has half of all calls answered sooner",
    better: (peer, ours) => sooner(peer.p50, ours.p50),
    show: ({ p50 }) => time(p50)
  },
  {
    says: "sends fewer requests per call",
    better: (peer, ours) => asMuch(peer, ours) && peer.requests / peer.calls < ours.requests / ours.calls - 0.01,
    show: ({ calls, requests }) => (requests / calls).toFixed(2)
  },
  {
    says: "costs less CPU per call",
    better: (peer, ours) => asMuch(peer, ours) && cpuPer100k(peer) < 0.9 * cpuPer100k(ours),
    show: (cell) => `${number(cpuPer100k(cell))} s per 100,000`
  }
]

const inLoad: ReadonlyArray<Measure<LoadCell>> = [
  {
    says: "serves more calls a second",
    better: (peer, ours) => peer.perSecond > 1.05 * ours.perSecond,
    show: ({ perSecond }) => count(perSecond)
  },
  {
    says: "costs less CPU per call",
    better: (peer, ours) => peer.cpu < 0.95 * ours.cpu,
    show: ({ cpu }) => `${number(cpu)} s per 100,000`
  }
]

/** One sentence for each peer and measure. */
export const ofFaults = (run: Faults): ReadonlyArray<string> => {
  const nameOf = (cell: FaultCell) =>
    run.scenarios
      .find(({ name }) => name === cell.scenario)!
      .short.join(" ")
      .replaceAll("- ", "-")
      .trim()
  return sentences(
    run,
    run.cells,
    inFaults,
    ({ scenario }) => scenario,
    nameOf,
    () => true
  )
}

/** Batched are compared with batched. */
export const ofLoad = (run: Load): ReadonlyArray<string> =>
  sentences(
    run,
    run.cells,
    inLoad,
    ({ callers }) => String(callers),
    ({ callers }) => (callers === 1 ? "one caller" : `${callers} callers`),
    (peer, ours) => peer.batched === ours.batched
  )

const sentences = <A extends { readonly contender: string }>(
  { contenders }: Run,
  cells: ReadonlyArray<A>,
  measures: ReadonlyArray<Measure<A>>,
  place: (cell: A) => string,
  nameOf: (cell: A) => string,
  comparable: (peer: Run["contenders"][number], ours: Run["contenders"][number]) => boolean
): ReadonlyArray<string> => {
  const isOurs = ({ id }: { readonly id: string }) => id.startsWith("hawser")
  const pairs = contenders
    // What does nothing about faults is no peer.
    .filter((one) => !isOurs(one) && one.under !== "nothing")
    .flatMap((peer) =>
      contenders
        .filter((one) => isOurs(one) && one.under === peer.under && comparable(peer, one))
        .map((ours) => ({ ours, peer }))
    )
  return pairs.flatMap(({ ours, peer }) =>
    measures.flatMap(({ better, says, show }) => {
      const where = cells
        .filter(({ contender }) => contender === peer.id)
        .flatMap((theirs) => {
          const own = cells.find((cell) => cell.contender === ours.id && place(cell) === place(theirs))
          return own !== undefined && better(theirs, own)
            ? [`${nameOf(theirs)} (${show(theirs)} against ${show(own)})`]
            : []
        })
      return where.length === 0 ? [] : [`**${peer.title}** ${says} than ${ours.title}: ${where.join(", ")}.`]
    })
  )
}
