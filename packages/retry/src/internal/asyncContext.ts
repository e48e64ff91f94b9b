// The asynchronous context (`AsyncLocalStorage`) in which something was asked, for what is done later on its behalf. Looked up
// rather than imported: browsers have none.

export interface AsyncContext {
  readonly runInAsyncScope: (f: () => void) => void
}

interface Builtins {
  readonly process?: {
    readonly getBuiltinModule?: (
      name: string
    ) => { readonly AsyncResource?: new (type: string) => AsyncContext } | undefined
  }
}

const AsyncResource = (() => {
  try {
    return (globalThis as Builtins).process?.getBuiltinModule?.("node:async_hooks")?.AsyncResource
  } catch {
    // Some edge runtimes have a process that throws at whatever they do not support.
    return undefined
  }
})()

/** The context of now; `undefined` where there is none. */
export const capture = (): AsyncContext | undefined => AsyncResource && new AsyncResource("hawser/Call")
