/** An HTTP server on a loopback port: the one that was asked for, or the first that is free. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { createServer } from "node:http"
import { UsageError } from "./Settings.ts"

const host = "127.0.0.1"

/** Listens on `port`, or without one on 8080 or the next that is free. A port that cannot be had is the user's to change. */
export const layer = (port?: number): Layer.Layer<HttpServer.HttpServer, UsageError> =>
  Layer.effect(HttpServer.HttpServer)(port === undefined ? firstFree(8080) : listen(port))

/** Where it listens. */
export const url: Effect.Effect<string, never, HttpServer.HttpServer> = Effect.map(
  HttpServer.HttpServer,
  ({ address }) => `http://${host}:${"port" in address ? address.port : 0}`
)

const firstFree = (port: number): ReturnType<typeof listen> =>
  Effect.catchTag(listen(port), "UsageError", (error) => (port < 8180 ? firstFree(port + 1) : Effect.fail(error)))

const listen = (port: number): Effect.Effect<HttpServer.HttpServer["Service"], UsageError, Scope.Scope> =>
  Effect.gen(function* () {
    const node = createServer({
      // Whoever is slower than this to say what he wants is not served.
      headersTimeout: 10_000,
      requestTimeout: 10_000,
      // Longer than most clients keep a connection, or their requests meet one that is just being closed.
      keepAliveTimeout: 65_000
    })
    const server = yield* NodeHttpServer.make(() => node, { port, host, gracefulShutdownTimeout: "1 second" })
    yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
    return server
  }).pipe(Effect.catchTag("ServeError", ({ cause }) => Effect.fail(new UsageError({ message: why(port, cause) }))))

const why = (port: number, cause: unknown): string => {
  switch ((cause as NodeJS.ErrnoException).code) {
    case "EADDRINUSE":
      return `port ${port} is taken: set PORT to one that is free`
    case "EACCES":
      return `port ${port} needs rights that this program does not have: set PORT to a higher one`
  }
  return `cannot listen on port ${port}: ${(cause as Error).message}`
}
