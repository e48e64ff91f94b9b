/**
 * What upstreams have said, one JSON document a line. `class` is the recommendation of the study the rows come from (its
 * ids are kept: D for the field, A and B for eRPC, N nodecore, M missing state, L lava, R ranges, letters for code tables);
 * `why` argues where ours differs.
 */
import { readdirSync, readFileSync } from "node:fs"
import { JsonRpc } from "@hawser/core"
import type { RpcError } from "@hawser/rpc"

export interface Fixture {
  readonly id: string
  readonly from: string
  /** Year and month in which the words were collected. */
  readonly seen: string
  readonly class: string
  readonly http: number
  readonly method: string
  readonly code?: unknown
  readonly message?: unknown
  readonly data?: unknown
  readonly body?: string
  readonly retryAfterHeader?: string
  readonly kind: RpcError.Kind
  /** Exactly these, where given. */
  readonly hints?: RpcError.Hints
  /** Milliseconds. */
  readonly retryAfter?: number
  readonly ran?: "maybe" | "no"
  readonly why?: string
}

const folder = new URL("./fixtures/", import.meta.url)

export const fixtures: ReadonlyArray<Fixture> = readdirSync(folder).flatMap((file) =>
  readFileSync(new URL(file, folder), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Fixture)
)

/** When all fixtures happen. */
export const now = Date.parse("2026-11-25T00:00:00Z")

export const replyOf = (fixture: Fixture): RpcError.Reply => {
  const { body, code, data, http, message, method, retryAfterHeader } = fixture
  const silent = code === undefined && message === undefined && data === undefined
  return {
    method,
    nature: JsonRpc.makeRequest(method).nature,
    status: http,
    retryAfter: retryAfterHeader,
    error: silent ? undefined : { code, message, data },
    body
  }
}

const kinds: Readonly<Record<string, RpcError.Kind>> = {
  RATE: "rate",
  "RATE-SENDER": "sender-limit",
  QUOTA: "quota",
  AUTH: "auth",
  PLAN: "plan",
  UNSUPPORTED: "unsupported",
  RANGE: "range",
  "RANGE-ADDR": "range-addresses",
  MISSING: "missing",
  SYNCING: "syncing",
  REVERT: "revert",
  KNOWN: "known",
  "NONCE-LOW": "nonce",
  "TX-REJECT": "transaction",
  CLIENT: "invalid",
  FILTER: "filter",
  TRANSIENT: "transient"
}

/** The kinds that the study recommends: some rows leave a choice. */
export const recommended = (fixture: Fixture): ReadonlyArray<RpcError.Kind> =>
  fixture.class
    .replace(/\(.*?\)/g, "")
    .split(/\/| or |, /)
    .flatMap((name) => kinds[name.replace(/\*| pool/g, "").trim()] ?? [])
