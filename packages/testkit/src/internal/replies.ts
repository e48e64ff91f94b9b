/** Writes JSON-RPC answers, and answers that are none. */
import type { AnswerFault, BatchFault, Malformation } from "../Fault.ts"
import { type Random, shuffled } from "./random.ts"
import { type Answer, RpcError } from "./rpcError.ts"

/** An answer and the id it goes under. `id: undefined` is a notification's, which is not written. */
export interface Entry {
  readonly id: unknown
  readonly answer: Answer
  readonly fault: AnswerFault | undefined
}

/** A JSON-RPC response, malformed if the fault says so. */
export const single = ({ answer, fault, id }: Entry): string =>
  fault?._tag === "Malformed" ? malformed[fault.how](id, answer) : reply(id, answer)

/** The body that answers a batch. */
export const batch = (how: BatchFault | undefined, entries: ReadonlyArray<Entry>, random: Random): string =>
  how === "refused"
    ? reply(null, new RpcError(-32600, "batch requests are not supported"))
    : `[${confused(how, entries, random).map(single).join(",")}]`

const confused = (how: BatchFault | undefined, entries: ReadonlyArray<Entry>, random: Random): ReadonlyArray<Entry> => {
  switch (how) {
    case "missing":
      return entries.slice(0, -1)
    case "duplicate":
      return entries.map((entry, i) => (i === entries.length - 1 ? { ...entry, id: entries[0]!.id } : entry))
    case "shuffled":
      return shuffled(entries, random)
    case "nullIds":
      return entries.map((entry) => ({ ...entry, id: null }))
    default:
      return entries
  }
}

/** A JSON-RPC response. */
export const reply = (id: unknown, answer: Answer): string => `{"jsonrpc":"2.0","id":${json(id)},${outcome(answer)}}`

const json = (value: unknown): string => JSON.stringify(value) ?? "null"

const outcome = (answer: Answer): string =>
  answer instanceof RpcError ? `"error":${json(answer)}` : `"result":${json(answer)}`

const malformed: Readonly<Record<Malformation, (id: unknown, answer: Answer) => string>> = {
  foreignId: (id, answer) => reply(typeof id === "number" ? id + 1_000_003 : `${String(id)}-foreign`, answer),
  nullId: (_, answer) => reply(null, answer),
  noId: (_, answer) => `{"jsonrpc":"2.0",${outcome(answer)}}`,
  stringId: (id, answer) => reply(String(id), answer),
  noResult: (id) => `{"jsonrpc":"2.0","id":${json(id)}}`,
  resultAndError: (id) =>
    `{"jsonrpc":"2.0","id":${json(id)},"result":null,"error":{"code":-32000,"message":"result and error"}}`,
  noVersion: (id, answer) => `{"id":${json(id)},${outcome(answer)}}`,
  oldVersion: (id, answer) => `{"jsonrpc":"1.0","id":${json(id)},${outcome(answer)}}`,
  stringError: (id) => `{"jsonrpc":"2.0","id":${json(id)},"error":"something went wrong"}`,
  emptyError: (id) => `{"jsonrpc":"2.0","id":${json(id)},"error":{}}`,
  null: () => "null",
  array: (id, answer) => `[${reply(id, answer)}]`
}
