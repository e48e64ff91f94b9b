/** The pure cores of each package, and the tests that answer for them: all of a primitive's, and of rpc those of the errors. */
export const cores = {
  breaker: { mutate: "{machine,state,window,snapshot}.ts", tests: ["test/**/*.test.ts"] },
  ratelimit: { mutate: "{gcra,meter,queue,line,adaptive,permits}.ts", tests: ["test/**/*.test.ts"] },
  retry: { mutate: "{backoff,bucket,latency,pace,attempts,contest}.ts", tests: ["test/**/*.test.ts"] },
  pool: { mutate: "{ejection,load,roster,quorum}.ts", tests: ["test/**/*.test.ts"] },
  cache: { mutate: "{eviction,entries,commits,waiters,barrier}.ts", tests: ["test/**/*.test.ts"] },
  rpc: { mutate: "errors/*.ts", tests: ["test/errors/*.test.ts", "test/RpcError.test.ts"] }
}

/** The package whose turn it is. */
export const name = process.env.MUTATED ?? "breaker"

export const report = (name) => `reports/mutation/${name}.json`
