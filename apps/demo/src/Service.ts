/**
 * An HTTP service that answers from Ethereum, and goes on answering while its providers do not.
 *
 * - `GET /blockNumber`: the newest block. If no upstream can answer, the last one known, marked as stale, for up to five
 *   minutes; after that 503.
 * - `GET /health`: each upstream, and why it is left out.
 * - `GET /metrics`: for Prometheus.
 *
 * The file to copy from: `stack` is all that resilience takes, the rest is an ordinary Effect HTTP service.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServer from "effect/http/HttpServer"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { Call, JsonRpc, Stack } from "hawser"
import * as Metrics from "./Metrics.ts"
import * as Upstreams from "./Upstreams.ts"
import * as Visitors from "./Visitors.ts"

/** The default stack, with health checks, metrics, and a cache that keeps the last answer for when no upstream has one. */
export const stack = (options: Stack.Options): Layer.Layer<JsonRpc.Client<Stack.Error>> =>
  Stack.layer({
    cache: { policy: () => ({ ttl: 0, staleIfError: "5 minutes" }) },
    health: { every: "30 seconds", timeout: "5 seconds" },
    ...options
  }).pipe(Metrics.watched)

export interface Options {
  /** Whose allowance a request is taken from; `undefined`: nobody's. Default: that of the client's address. */
  readonly clientOf?: ((request: HttpServerRequest.HttpServerRequest) => string | undefined) | undefined
}

/** The client's address, as the connection tells it. */
export const addressOf = (request: HttpServerRequest.HttpServerRequest): string =>
  Option.getOrElse(request.remoteAddress, () => "unknown")

/** The service, over any client and on any server. */
export const layer = (
  options?: Options
): Layer.Layer<never, never, HttpServer.HttpServer | JsonRpc.Client<Stack.Error>> =>
  HttpRouter.serve(Layer.mergeAll(blockNumber(options?.clientOf), health, Metrics.layer, everyPage), {
    disableLogger: true,
    disableListenLog: true
  })

/** The upstream's answer is no block number. */
class Unreadable extends Data.TaggedError("Unreadable") {}

const blockNumber = (clientOf: NonNullable<Options["clientOf"]> = addressOf) =>
  HttpRouter.use((router) =>
    Effect.gen(function* () {
      const client = yield* JsonRpc.client<Stack.Error>()
      const visitors = yield* Visitors.make({ limit: 100, window: "1 minute", capacity: 10_000 })

      const admit = (request: HttpServerRequest.HttpServerRequest) => {
        const visitor = clientOf(request)
        return visitor === undefined ? Effect.void : visitors.admit(visitor)
      }

      const ask = Effect.gen(function* () {
        const { report, value } = yield* JsonRpc.explain(client.request(JsonRpc.makeRequest("eth_blockNumber")))
        if (typeof value !== "string" || !/^0x[0-9a-f]+$/i.test(value)) return yield* new Unreadable()
        const blockNumber = Number(value)
        return report.stale
          ? yield* reply(200, "stale", { blockNumber, stale: true, age: ageOf(report) })
          : yield* reply(200, "fresh", { blockNumber })
      })

      yield* router.add("GET", "/blockNumber", (request) =>
        admit(request).pipe(
          Effect.andThen(ask),
          Effect.timeout("10 seconds"),
          Effect.catchTags({
            TooMany: tooMany,
            NoAnswer: () => unavailable,
            DeadlineExceeded: () => unavailable,
            Rejected: () => unavailable,
            Unreadable: () => unavailable,
            TimeoutError: () => unavailable
          })
        )
      )
    })
  )

const health = HttpRouter.use((router) =>
  Effect.gen(function* () {
    const client = yield* JsonRpc.client<Stack.Error>()
    yield* router.add(
      "GET",
      "/health",
      Effect.sync(() =>
        HttpServerResponse.jsonUnsafe({ upstreams: Upstreams.describe(Stack.status(client.inspect())) })
      )
    )
  })
)

const reply = (status: number, outcome: Metrics.Outcome, body: object, headers?: Record<string, string>) =>
  Effect.as(Metrics.called(outcome), HttpServerResponse.jsonUnsafe(body, { status, headers }))

const unavailable = reply(503, "unavailable", { error: "no upstream can answer, and no answer is known" })

const tooMany = ({ retryAfter }: Visitors.TooMany) => {
  const seconds = Math.ceil(Duration.toSeconds(retryAfter))
  return reply(429, "limited", { error: "too many requests", retryAfter: seconds }, { "retry-after": String(seconds) })
}

/** Whole seconds since the answer was fresh. */
const ageOf = ({ steps }: Call.Report): number => {
  const step = steps.findLast((step) => step.step === "cache")
  return Math.round((step?.age ?? 0) / 1000)
}

const paths = ["/blockNumber", "/health", "/metrics"]

/** What holds for every page: it is counted and not cached, and what goes wrong is told as JSON. */
const everyPage = HttpRouter.middleware(
  (page) =>
    Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const path = request.url.split("?")[0]!
      const known = paths.includes(path)
      const [took, response] = yield* page.pipe(
        Effect.catchIf(isRouteNotFound, () => Effect.succeed(known ? wrongMethod : notFound)),
        Effect.catchDefect((defect) =>
          Effect.as(Effect.logError("a request failed", Call.summary(defect)), internalError)
        ),
        Effect.timed
      )
      yield* Metrics.served(request.method, known ? path : "other", response.status, Duration.toSeconds(took))
      return HttpServerResponse.setHeader(response, "cache-control", "no-store")
    }),
  { global: true }
)

const isRouteNotFound = (error: unknown): boolean =>
  HttpServerError.isHttpServerError(error) && error.reason._tag === "RouteNotFound"

const notFound = HttpServerResponse.jsonUnsafe({ error: "no such path", paths }, { status: 404 })

const wrongMethod = HttpServerResponse.jsonUnsafe(
  { error: "this path takes GET only" },
  { status: 405, headers: { allow: "GET, HEAD" } }
)

const internalError = HttpServerResponse.jsonUnsafe({ error: "internal error" }, { status: 500 })
