import { AbstractProvider, Block, Network } from "ethers"

/** A value as an application sees it. Left out: the ids that requests have, and which provider it is. */
export const seen = (value: unknown): unknown => {
  if (value instanceof AbstractProvider) return "the provider"
  if (value instanceof Network || value instanceof Block) return value.toJSON()
  if (Array.isArray(value)) return [...(value as ReadonlyArray<unknown>)].map(seen)
  if (typeof value === "function") return "a function"
  if (typeof value !== "object" || value === null) return value
  const own = Object.entries(value).filter(([key]) => key !== "id" && key !== "jsonrpc")
  return {
    class: value.constructor.name,
    ...(value instanceof Error ? { message: value.message.replaceAll(/"id": \d+/g, "") } : {}),
    ...Object.fromEntries(own.map(([key, part]) => [key, seen(part)]))
  }
}

/** What an application gets: a value or an error. */
export const settled = async (ask: () => unknown): Promise<unknown> => {
  try {
    return { value: seen(await ask()) }
  } catch (error) {
    return { error: seen(error) }
  }
}
