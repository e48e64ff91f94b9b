/** What keeps this process alive of timers and connections. */
export const resources = (): ReadonlyArray<string> =>
  process.getActiveResourcesInfo().filter((name) => /^(Timeout|Immediate|TCP|TLS|UDP|GetAddrInfo)/.test(name))

/** Ends when all that was due at once has been done. */
export const turn = (): Promise<void> => new Promise((resolve) => void setTimeout(resolve, 2))

export const say = (what: string, told: unknown): void => void process.stdout.write(`${JSON.stringify([what, told])}\n`)
