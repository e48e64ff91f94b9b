/** A limit of which next to nothing comes back while a test runs: who has taken is counted exactly. */
export const rates = [{ limit: 300, window: 31_536_000_000, burst: 300 }]
