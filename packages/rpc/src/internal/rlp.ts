// As much of RLP as it takes to find the parts of a list, without decoding what is in them.

/** One item: `[start, end)` with its header, its content from `content` on. */
export interface Item {
  readonly list: boolean
  readonly start: number
  readonly content: number
  readonly end: number
}

/** The item that begins at `start`, or `undefined` where none ends at or before `limit`. */
export const itemAt = (bytes: Uint8Array, start: number, limit: number): Item | undefined => {
  if (start >= limit) return undefined
  const first = bytes[start]!
  if (first < 0x80) return { list: false, start, content: start, end: start + 1 }
  const list = first >= 0xc0
  const short = first - (list ? 0xc0 : 0x80)
  let content = start + 1
  let length = short
  if (short > 55) {
    // No list is longer than four bytes can say: the sum would no longer be exact.
    const size = short - 55
    if (size > 4 || content + size > limit) return undefined
    length = 0
    for (let i = 0; i < size; i++) length = length * 256 + bytes[content + i]!
    content += size
  }
  const end = content + length
  return end > limit ? undefined : { list, start, content, end }
}

/** The items of a list that ends where the bytes do; `undefined` if it is none, or has more than `most`. */
export const itemsAt = (bytes: Uint8Array, start: number, most: number): ReadonlyArray<Item> | undefined => {
  const outer = itemAt(bytes, start, bytes.length)
  if (outer === undefined || !outer.list || outer.end !== bytes.length) return undefined
  const items: Array<Item> = []
  for (let at = outer.content; at < outer.end;) {
    const item = itemAt(bytes, at, outer.end)
    if (item === undefined || items.length === most) return undefined
    items.push(item)
    at = item.end
  }
  return items
}
