import type { Database } from "./database.ts"
import { type States, step } from "./program.ts"

export const statesOf = (database: Database): States => {
  const read = database.prepare("SELECT state FROM hawser_state WHERE key = ? AND expires > ?")
  const write = database.prepare(
    "INSERT INTO hawser_state VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET state = excluded.state, expires = excluded.expires"
  )
  // No timer: each write takes out two of those whose time is over.
  const sweep = database.prepare(
    "DELETE FROM hawser_state WHERE key IN (SELECT key FROM hawser_state WHERE expires <= ? ORDER BY expires LIMIT 2)"
  )
  return {
    run: (program, key, args) =>
      database.alone(() => {
        const now = database.now()
        const known = read.get(key, now)?.["state"] as string | undefined
        const { reply, text, ttl } = step(program, known, Math.floor(now * 1000), args)
        if (text !== undefined) {
          write.run(key, text, Math.ceil(now + ttl / 1000) + 1)
          sweep.run(now)
        }
        return reply
      })
  }
}
