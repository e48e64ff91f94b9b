import type { Listener } from "ethers"
import { isInfrastructure } from "./errors.ts"

/**
 * Listeners, guarded against going unhandled when they reject because no node answered. ethers' own ask the nodes and leave
 * the rejection to nobody; that is for the next block to make good. What else a listener throws stays as visible as it was.
 */
export class Guards {
  private readonly guarded = new WeakMap<Listener, Listener>()
  private readonly originals = new WeakMap<Listener, Listener>()

  /** The listener in place of which ethers gets this one: the same one for the same, so that it is found again. */
  of(listener: Listener): Listener {
    if (this.originals.has(listener)) return listener
    let guarded = this.guarded.get(listener)
    if (guarded === undefined) {
      guarded = function (this: unknown, ...args: Array<unknown>) {
        const result: unknown = Reflect.apply(listener, this, args)
        if (result instanceof Promise) {
          result.catch((error: unknown) => {
            if (!isInfrastructure(error)) throw error
          })
        }
      }
      this.guarded.set(listener, guarded)
      this.originals.set(guarded, listener)
    }
    return guarded
  }

  /** What the application gave. */
  original(listener: Listener): Listener {
    return this.originals.get(listener) ?? listener
  }
}
