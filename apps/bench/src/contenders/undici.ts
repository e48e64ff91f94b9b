import { Pool, type Dispatcher } from "undici"
import type { Contender, Request } from "../Contender.ts"

// The transport below Hawser with nothing around it: no time limit, no check of the answer, no second try.
export const undici: Contender = {
  title: "undici, alone",
  under: "nothing",
  batched: false,
  configuration: "new Pool(url).dispatch(request, handler), JSON.parse",
  packages: ["undici"],
  make: ([url]) => {
    const pool = new Pool(url!, { connections: 512, pipelining: 1 })
    let id = 0
    return {
      call: ({ method, params }: Request) =>
        new Promise((resolve, reject) => {
          const body = JSON.stringify({ jsonrpc: "2.0", id: ++id, method, params })
          const headers = { "content-type": "application/json" }
          pool.dispatch({ path: "/", method: "POST", headers, body }, new Handler(resolve, reject))
        }),
      close: () => pool.destroy()
    }
  }
}

class Handler implements Dispatcher.DispatchHandler {
  private readonly resolve: (result: unknown) => void
  private readonly reject: (error: Error) => void
  private readonly chunks: Array<Buffer> = []

  constructor(resolve: (result: unknown) => void, reject: (error: Error) => void) {
    this.resolve = resolve
    this.reject = reject
  }

  onRequestStart(): void {}

  onResponseStart(): void {}

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.chunks.push(chunk)
  }

  onResponseEnd(): void {
    const { result } = JSON.parse(Buffer.concat(this.chunks).toString()) as { readonly result: unknown }
    this.resolve(result)
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.reject(error)
  }
}
