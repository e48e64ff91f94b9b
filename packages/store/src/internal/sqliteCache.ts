import type { ResponseCache } from "@hawser/cache"
import type { CacheOf } from "./assemble.ts"
import type { Database } from "./database.ts"

export const cacheOf = (database: Database, maxBytes: number): CacheOf => {
  const read = database.prepare("SELECT entry FROM hawser_cache WHERE name = ? AND key = ? AND expires > ?")
  const insert = database.prepare("INSERT INTO hawser_cache (name, key, entry, bytes, expires) VALUES (?, ?, ?, ?, ?)")
  const tagged = database.prepare("INSERT OR IGNORE INTO hawser_tag VALUES (?, ?, ?)")
  const remove = database.prepare("DELETE FROM hawser_cache WHERE name = ? AND key = ?")
  const removeTag = database.prepare(
    "DELETE FROM hawser_cache WHERE id IN (SELECT id FROM hawser_tag WHERE name = ? AND tag = ?)"
  )
  const removeAll = database.prepare("DELETE FROM hawser_cache WHERE name = ?")
  const sweep = database.prepare(
    "DELETE FROM hawser_cache WHERE id IN (SELECT id FROM hawser_cache WHERE expires <= ? ORDER BY expires LIMIT 2)"
  )
  const size = database.prepare("SELECT bytes FROM hawser_size")
  const removeOldest = database.prepare(
    "DELETE FROM hawser_cache WHERE id IN (SELECT id FROM hawser_cache ORDER BY id LIMIT 1)"
  )

  return (name, maxEntryBytes) => ({
    get: (key) =>
      database.alone(() => {
        const row = read.get(name, key, database.now())
        return row === undefined ? undefined : parse(String(row["entry"]))
      }),
    set: (key, entry, ttl) =>
      database.alone(() => {
        const now = database.now()
        const text = JSON.stringify(entry)
        const bytes = Buffer.byteLength(text) + Buffer.byteLength(key)
        remove.run(name, key)
        sweep.run(now)
        if (bytes > Math.min(maxEntryBytes, maxBytes)) return
        const { lastInsertRowid: id } = insert.run(
          name,
          key,
          text,
          bytes,
          Math.min(Math.ceil(now + ttl), Number.MAX_SAFE_INTEGER)
        )
        for (const tag of entry.tags) tagged.run(name, tag, id)
        while (Number(size.get()!["bytes"]) > maxBytes) removeOldest.run()
      }),
    invalidate: (key) => database.alone(() => void remove.run(name, key)),
    invalidateTag: (tag) => database.alone(() => void removeTag.run(name, tag)),
    clear: () => database.alone(() => void removeAll.run(name))
  })
}

// What something else wrote is a miss.
const parse = (text: string): ResponseCache.Stored | undefined => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
