import { existsSync } from "node:fs"
import { tmpdir } from "node:os"

/** Where files of tests go: in memory where there is such a place, so that no test waits for a disk. */
export const temporary = existsSync("/dev/shm") ? "/dev/shm" : tmpdir()
