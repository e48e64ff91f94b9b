import type { AnswerFault } from "../Fault.ts"

/** How a node sees the chain otherwise than it is. */
export interface Distortion {
  readonly chainId?: number
  readonly head?: (real: number) => number
}

const none: Distortion = {}

/** `frozen` holds where the head stood when the fault first met a call. */
export const distortion = (fault: AnswerFault | undefined, frozen: Map<object, number>): Distortion => {
  switch (fault?._tag) {
    case "Behind":
      return { head: (real) => Math.max(0, real - fault.blocks) }
    case "Frozen":
      return {
        head: (real) => {
          const seen = frozen.get(fault) ?? real
          frozen.set(fault, seen)
          return Math.min(real, seen)
        }
      }
    case "WrongChain":
      return { chainId: fault.chainId }
    default:
      return none
  }
}
