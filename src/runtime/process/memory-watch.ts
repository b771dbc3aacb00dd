import { proportionalBytes, type ProcessRow, type ReadProcesses, treeOf } from './process-table.ts'

const CALM_MS = 1000
const TENSE_MS = 200

export interface MemoryWatch {
  /** Looks at a process and everything below it until the returned function is called. `exceeded` is called once. */
  watch(pid: number, limitBytes: number, exceeded: () => void): () => void
  close(): void
}

interface Watched {
  readonly pid: number
  readonly limitBytes: number
  readonly exceeded: () => void
}

/**
 * Bounds the resident memory of process trees: one look at all processes for all instances, every second, five times
 * a second while one is past half of its bound. Growth between two looks is bounded by the limit that each process
 * carries itself.
 */
export function createMemoryWatch(read: ReadProcesses): MemoryWatch {
  const watched = new Set<Watched>()
  let timer: NodeJS.Timeout | undefined

  const look = async (): Promise<void> => {
    const rows = await read().catch((): readonly ProcessRow[] => [])
    let tense = false
    for (const entry of watched) {
      const used = usedBytes(rows, entry)
      tense ||= used > entry.limitBytes / 2
      if (used > entry.limitBytes) {
        watched.delete(entry)
        entry.exceeded()
      }
    }
    timer = undefined
    plan(tense ? TENSE_MS : CALM_MS)
  }

  const plan = (delayMs: number): void => {
    if (watched.size > 0) timer ??= setTimeout(() => void look(), delayMs).unref()
  }

  return {
    watch: (pid, limitBytes, exceeded) => {
      const entry = { pid, limitBytes, exceeded }
      watched.add(entry)
      plan(TENSE_MS)
      return () => void watched.delete(entry)
    },
    close: () => {
      watched.clear()
      clearTimeout(timer)
    },
  }
}

/** Resident sizes count shared pages once per process; where their sum is too much, the proportional sizes decide. */
function usedBytes(rows: readonly ProcessRow[], { pid, limitBytes }: Watched): number {
  const tree = treeOf(rows, pid)
  const resident = tree.reduce((sum, row) => sum + row.rssBytes, 0)
  if (resident <= limitBytes) return resident
  return tree.reduce((sum, row) => sum + (proportionalBytes(row.pid) ?? row.rssBytes), 0)
}
