import { mkdir, open, rename, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { serverLogPath } from './server-log.ts'

const MAX_FILE_BYTES = 5 << 20
/** What may wait for the disk, for one server; past it lines are counted and left out. */
const MAX_QUEUE_CHARACTERS = 1 << 20
const MAX_LINE_CHARACTERS = 8192
/** An unfinished line is held up to here, so that redaction sees secrets whole even where the shown part ends. */
const MAX_HELD_CHARACTERS = 65_536

export interface ServerLogDeps {
  /** The Castellan home. */
  readonly home: string
  readonly clock: Clock
  readonly log: Log
  readonly redact: (server: string, text: string) => string
}

/** One instance's way into the log of its Server. */
export interface LogFeed {
  /** What the process wrote to standard error. */
  push(chunk: Buffer): void
  /** A line of ours: started, ended and why. */
  note(text: string): void
  end(): void
}

export interface ServerLogs {
  feed(server: string, key: string): LogFeed
  /** Waits until everything is on disk. */
  close(): Promise<void>
}

/** Logs of all servers: one file each, 0600, a time before each line, rotated at 5 MiB with one old file kept. */
export function createServerLogs(deps: ServerLogDeps): ServerLogs {
  const files = new Map<string, LogFile>()
  const fileOf = (server: string): LogFile => {
    const known = files.get(server)
    if (known !== undefined) return known
    const file = createLogFile(serverLogPath(deps.home, server), deps.log)
    files.set(server, file)
    return file
  }
  return {
    feed: (server, key) => createFeed(deps, fileOf(server), { server, key }),
    close: async () => {
      await Promise.all([...files.values()].map(async (file) => file.written()))
    },
  }
}

function createFeed(
  deps: ServerLogDeps,
  file: LogFile,
  who: { readonly server: string; readonly key: string },
): LogFeed {
  const decoder = new TextDecoder()
  const mark =
    who.key === who.server ? '' : `[${who.key.slice(who.server.length + 1, who.server.length + 9)}] `
  let rest = ''
  const write = (text: string): void => {
    const time = new Date(deps.clock.nowMs()).toISOString()
    for (const line of deps.redact(who.server, printable(text)).split('\n')) {
      const shown = line.length > MAX_LINE_CHARACTERS ? `${line.slice(0, MAX_LINE_CHARACTERS)} … (cut)` : line
      if (shown !== '') file.append(`${time} ${mark}${shown}\n`)
    }
  }
  return {
    push: (chunk) => {
      const text = rest + decoder.decode(chunk, { stream: true })
      const end = text.lastIndexOf('\n') + 1
      // Lines that arrive together are redacted together: a secret may hold newlines.
      if (end > 0) write(text.slice(0, end))
      const open = text.slice(end)
      rest = open.length > MAX_HELD_CHARACTERS ? open.slice(0, MAX_HELD_CHARACTERS) : open
    },
    note: (text) => {
      file.append(`${new Date(deps.clock.nowMs()).toISOString()} ${mark}castellan: ${text}\n`)
    },
    end: () => {
      if (rest !== '') write(rest)
      rest = ''
    },
  }
}

/** Without what would move a terminal's cursor, colour it or ring it; newlines and tabs stay. */
const CONTROL = /[^\P{Cc}\n\t]/gu
const printable = (text: string): string => stripVTControlCharacters(text).replace(CONTROL, '')

interface LogFile {
  append(line: string): void
  /** Resolves when nothing waits for the disk. */
  written(): Promise<void>
}

function createLogFile(path: string, log: Log): LogFile {
  let queue: string[] = []
  let queued = 0
  let left = 0
  let writing: Promise<void> | undefined

  /** Until nothing waits, or the file is full and has been put aside. */
  const fill = async (): Promise<void> => {
    const file = await openForAppending(path)
    try {
      for (let full = false; !full && queue.length > 0;) {
        const batch = left > 0 ? [...queue, `castellan: ${left} lines left out\n`] : queue
        queue = []
        queued = 0
        left = 0
        await file.appendFile(batch.join(''))
        full = (await file.stat()).size >= MAX_FILE_BYTES
        if (full) await rename(path, `${path}.1`)
      }
    } finally {
      await file.close()
    }
  }

  const drain = async (): Promise<void> => {
    try {
      while (queue.length > 0) await fill()
    } catch (cause) {
      // A disk that is full or read-only costs lines of this log, nothing else.
      log.warn({ err: cause }, 'the log of a server cannot be written')
      left += queue.length
      queue = []
      queued = 0
    }
    writing = undefined
  }

  return {
    append: (line) => {
      if (queued + line.length > MAX_QUEUE_CHARACTERS) {
        left += 1
        return
      }
      queue.push(line)
      queued += line.length
      writing ??= drain()
    },
    written: async () => writing,
  }
}

/** Opened for each batch: no descriptor is held for a server that says nothing, or is gone. */
async function openForAppending(path: string): Promise<FileHandle> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  return open(path, 'a', 0o600)
}
