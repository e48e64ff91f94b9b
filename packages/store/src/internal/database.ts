import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { StoreError } from "../Store.ts"

// The sum of the bytes is kept by triggers, so that no path can forget it.
const schema = `
CREATE TABLE IF NOT EXISTS hawser_state (
  key TEXT PRIMARY KEY, state TEXT NOT NULL, expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS hawser_state_expires ON hawser_state (expires);
CREATE TABLE IF NOT EXISTS hawser_cache (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, key TEXT NOT NULL, entry TEXT NOT NULL,
  bytes INTEGER NOT NULL, expires INTEGER NOT NULL, UNIQUE (name, key)
) STRICT;
CREATE INDEX IF NOT EXISTS hawser_cache_expires ON hawser_cache (expires);
CREATE TABLE IF NOT EXISTS hawser_tag (
  name TEXT NOT NULL, tag TEXT NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (name, tag, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS hawser_tag_id ON hawser_tag (id);
CREATE TABLE IF NOT EXISTS hawser_size (one INTEGER PRIMARY KEY CHECK (one = 1), bytes INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO hawser_size VALUES (1, 0);
CREATE TRIGGER IF NOT EXISTS hawser_added AFTER INSERT ON hawser_cache BEGIN
  UPDATE hawser_size SET bytes = bytes + new.bytes;
END;
CREATE TRIGGER IF NOT EXISTS hawser_removed AFTER DELETE ON hawser_cache BEGIN
  UPDATE hawser_size SET bytes = bytes - old.bytes;
  DELETE FROM hawser_tag WHERE id = old.id;
END;
`

/** SQLITE_BUSY. */
const busy = 5

/** How long opening the file may wait for others, in milliseconds. */
const opening = 2_000

export class Database {
  /** The time of the machine, in milliseconds. */
  readonly now: () => number
  private readonly db: DatabaseSync
  private readonly random: () => number
  private readonly begin: StatementSync
  private readonly commit: StatementSync

  constructor(db: DatabaseSync, now: () => number, random: () => number) {
    this.db = db
    this.now = now
    this.random = random
    try {
      // A crash of the process loses nothing; that of the machine may lose the last moments, and no more.
      db.exec(`PRAGMA busy_timeout = ${opening}; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL`)
      db.exec(`BEGIN IMMEDIATE; ${schema} COMMIT; PRAGMA busy_timeout = 0`)
      this.begin = db.prepare("BEGIN IMMEDIATE")
      this.commit = db.prepare("COMMIT")
    } catch (error) {
      db.close()
      throw error
    }
  }

  prepare(sql: string): StatementSync {
    return this.db.prepare(sql)
  }

  /** Runs `f` alone. Where others are at work it waits, without holding up the thread, until it is interrupted. */
  alone<A>(f: () => A): Effect.Effect<A, StoreError> {
    return Effect.suspend(() => {
      try {
        this.begin.run()
      } catch (error) {
        if (!isBusy(error)) return Effect.fail(storeError(error))
        const millis = Duration.millis(1 + 4 * this.random())
        return Effect.flatMap(Effect.sleep(millis), () => this.alone(f))
      }
      try {
        const result = f()
        this.commit.run()
        return Effect.succeed(result)
      } catch (error) {
        if (this.db.isTransaction) this.db.exec("ROLLBACK")
        return Effect.fail(storeError(error))
      }
    })
  }

  close(): void {
    this.db.close()
  }
}

const storeError = (cause: unknown): StoreError => new StoreError({ store: "sqlite", cause })

const isBusy = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "errcode" in error && (Number(error.errcode) & 0xff) === busy
