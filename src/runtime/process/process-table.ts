import { execFile } from 'node:child_process'
import { closeSync, openSync, readFileSync, readdirSync, readSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'

export interface ProcessRow {
  readonly pid: number
  readonly parent: number
  readonly group: number
  readonly rssBytes: number
}

/** One look at every process of the machine. */
export type ReadProcesses = () => Promise<readonly ProcessRow[]>

export const processReader = (platform: NodeJS.Platform): ReadProcesses =>
  platform === 'linux' ? readProc : readPs

const PER_TURN = 64
const buffer = Buffer.alloc(1024)

/** Reads `/proc` a few processes a turn, so that a busy machine does not hold the loop (about 10 µs a process). */
async function readProc(): Promise<readonly ProcessRow[]> {
  const pageBytes = (pageSize ??= findPageSize())
  const rows: ProcessRow[] = []
  let turn = 0
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!(pid > 0)) continue
    const row = readStat(pid, pageBytes)
    if (row !== undefined) rows.push(row)
    turn += 1
    if (turn % PER_TURN === 0) await setImmediate()
  }
  return rows
}

/** proc(5): the name in parentheses may hold anything, so fields are counted from the last parenthesis. */
function readStat(pid: number, pageBytes: number): ProcessRow | undefined {
  let fd: number | undefined
  try {
    fd = openSync(`/proc/${pid}/stat`, 'r')
    const text = buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0))
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return {
      pid,
      parent: Number(fields[1]),
      group: Number(fields[2]),
      rssBytes: Number(fields[21]) * pageBytes,
    }
  } catch {
    return undefined
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

let pageSize: number | undefined

/** Node does not tell the page size; our own resident size in bytes over the same in pages does. */
function findPageSize(): number {
  const pages = Number(readFileSync('/proc/self/statm', 'latin1').split(' ')[1])
  const measured = process.memoryUsage.rss() / pages
  return 2 ** Math.round(Math.log2(measured))
}

const run = promisify(execFile)

async function readPs(): Promise<readonly ProcessRow[]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=,pgid=,rss='], { maxBuffer: 1 << 24 })
  return stdout.split('\n').flatMap((line) => {
    const [pid, parent, group, kib] = line.trim().split(/ +/).map(Number)
    if (pid === undefined || parent === undefined || group === undefined || kib === undefined) return []
    return [{ pid, parent, group, rssBytes: kib * 1024 }]
  })
}

/** A process, all that descend from it, and all of its process group (their parents may be gone). */
export function treeOf(rows: readonly ProcessRow[], root: number): readonly ProcessRow[] {
  const members = new Set<number>([root])
  for (const row of rows) if (row.group === root) members.add(row.pid)
  let size = 0
  while (size !== members.size) {
    size = members.size
    for (const row of rows) if (members.has(row.parent)) members.add(row.pid)
  }
  return rows.filter((row) => members.has(row.pid))
}

/**
 * Proportional size of a process: pages that several share are counted once among them.
 * Undefined where the kernel does not tell.
 */
export function proportionalBytes(pid: number): number | undefined {
  try {
    const kib = /^Pss: +(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1]
    return kib === undefined ? undefined : Number(kib) * 1024
  } catch {
    return undefined
  }
}
