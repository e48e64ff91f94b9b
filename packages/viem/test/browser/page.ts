// Runs in a browser: what a page does with the transport. The test gives it nodes and reads what it found.

/** A client of either viem. */
export interface Client {
  readonly head: () => Promise<bigint>
  readonly read: () => Promise<unknown>
  readonly request: (signal: AbortSignal) => Promise<unknown>
  readonly transport: {
    readonly status: () => { readonly upstreams: ReadonlyArray<{ readonly pool?: { readonly failures: number } }> }
    readonly close: () => Promise<void>
  }
}

export interface Found {
  readonly heads: ReadonlyArray<number>
  readonly revert: string
  readonly aborted: string
  readonly failed: ReadonlyArray<boolean>
}

/** Lets the test run it. */
export const show = (open: (urls: ReadonlyArray<string>) => Client): void => {
  const run = async (urls: ReadonlyArray<string>): Promise<Found> => {
    const client = open(urls)
    const hasFailed = () => client.transport.status().upstreams.map(({ pool }) => (pool?.failures ?? 0) > 0)
    const heads = new Set<number>()
    // Whom the pool asks is drawn at random, so until the bad one has had its turn.
    for (let i = 0; i < 1_000 && !hasFailed().includes(true); i++) heads.add(Number(await client.head()))
    const revert = await client.read().then(String, (error: Error) => error.message)
    const controller = new AbortController()
    const aborted = client.request(controller.signal).then(String, (error: Error) => error.name)
    controller.abort()
    const found = { heads: [...heads], revert, aborted: await aborted, failed: hasFailed() }
    await client.transport.close()
    return found
  }
  Object.assign(globalThis, { run })
}
