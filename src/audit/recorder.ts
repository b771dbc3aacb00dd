import { Fault } from '../lib/fault.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { CHAIN_NAME } from './chain.ts'
import { openCommitLink, type AnchorState, type CommitEvents } from './commit-link.ts'
import type { Recorder } from './entry.ts'
import { createHistoryLink } from './history-link.ts'
import type { HistoryWorkerData } from './history-messages.ts'
import { createSegmentQueue, type QueueState, type SegmentQueue } from './queue.ts'
import { chainFolder, ensureChainName } from './postgres/chain-folder.ts'
import type { AuditRow } from './query.ts'
import type { AuditFilter } from './readings.ts'
import { createRefusalCounter } from './refusals.ts'
import { createRetention } from './retention.ts'
import type { AuditSessions } from './sessions.ts'
import { newestSetAside } from './set-aside.ts'

export interface RecorderOptions {
  /** Directory of the daemon: `audit.db`, its anchors and its archive are made in it; with a database, all but the first. */
  readonly home: string
  /** Writer id: one chain for each. Lower case letters, digits and `-`. Default: `daemon`, or the one of the database. */
  readonly chain?: string
  /** Where the record of all daemons is. Absent: `audit.db` in the home. */
  readonly database?: RecordDatabase | undefined
  /** Key of the chain's MACs, 32 bytes. */
  readonly macKey: Uint8Array
  /** Seed of the ed25519 key that signs anchors and checkpoints, 32 bytes. */
  readonly signKey: Uint8Array
  readonly clock: Clock
  readonly log: Log
  /** Entries in memory above which calls are refused. Default 50,000. */
  readonly maxQueuedEntries?: number
  /** Segments older than this move to the archive. Default 90. */
  readonly retentionDays?: number
  /** Longest time from a commit to its anchor. Default 1,000. The other chains are looked at ten times as seldom. */
  readonly anchorEveryMs?: number
  /** Shortest time between two commits under load. Default 3. */
  readonly commitEveryMs?: number
}

export interface RecordDatabase {
  /** `postgres://…` */
  readonly url: string
  /** Variables that its driver reads besides the address (`PGSSLMODE`, for example). */
  readonly environment: Readonly<Record<string, string>>
}

export interface RecorderStats extends QueueState, AnchorState {
  readonly chain: string
  /** Newest segment on disk. */
  readonly tipSeq: number
}

export interface AuditRecorder extends Recorder {
  /** The newest entries that match, oldest first, up to everything committed when it is asked. */
  query(filter: AuditFilter): Promise<AuditRow[]>
  /** Sessions and callers of the requests that match, the one used last at the end. */
  sessions(filter: AuditFilter): Promise<AuditSessions>
  stats(): RecorderStats
  /** Moves what is older than the retention into archive files now. @returns segments moved */
  retain(): Promise<number>
}

const DEFAULTS = { maxQueuedEntries: 50_000, retentionDays: 90, anchorEveryMs: 1_000, commitEveryMs: 3 }
/** The index follows this long after a commit, and waits for quieter times above this rate. */
const FILL_MS = 1_000
const BUSY_ENTRIES = 2_000

/**
 * Opens the record of a home and becomes its only writer.
 * @throws Fault `unavailable` when another process writes it, when it is not the record that was anchored, or when the
 *   disk refuses; `invalid` for a chain name that could not be part of a file name
 */
export async function openRecorder(options: RecorderOptions): Promise<AuditRecorder> {
  const settings = { ...DEFAULTS, ...options }
  const { macKey, signKey, anchorEveryMs, clock, log } = settings
  const { environment = {} } = settings.database ?? {}
  const place = placeOf(settings)
  const { chain } = place
  const history = createHistoryLink(place, log, environment)
  const events: CommitEvents = {
    committed: () => {
      queue.committed()
      indexing.due()
    },
    failed: (reason) => queue.failed(reason),
    unreachable: (reason) => queue.unreachable(reason),
    reachable: () => queue.reachable(),
    tips: (tips) => queue.other(tips),
  }
  const link = await openCommitLink({ ...place, macKey, signKey, anchorEveryMs }, log, {
    events,
    environment,
  })
  const queue = createSegmentQueue({
    maxQueuedEntries: settings.maxQueuedEntries,
    commitEveryMs: settings.commitEveryMs,
    nowMs: () => clock.nowMs(),
    tickMs: () => clock.tickMs(),
    post: link.post,
    changed: (state) => logChange(log, state),
  })
  const indexing = createIndexing(queue, history.fill)
  const refusals = createRefusalCounter({ clock, write: queue.other })
  const { retentionDays } = settings
  const retention = createRetention({
    retentionDays,
    clock,
    log,
    archive: history.archive,
    letGo: link.letGo,
  })
  if (link.openedAtSeq === 0) recordSetAside(settings.home, clock, queue)

  /** What was counted until a question is part of its answer. */
  async function told(): Promise<void> {
    if (!refusals.anything()) return
    refusals.flush()
    await queue.settled()
  }

  async function close(): Promise<void> {
    indexing.stop()
    refusals.flush()
    // While nothing can be written, what is seen of the others could not be either.
    if (queue.accepts()) await link.look()
    await Promise.all([retention.stop(), queue.settled()])
    queue.stop()
    const { queuedEntries } = queue.state()
    if (queuedEntries > 0) log.error({ queuedEntries }, 'audit entries could not be written before the end')
    await Promise.all([link.close(), history.close()])
  }

  return {
    accepts: queue.accepts,
    intent: queue.intent,
    outcome: queue.outcome,
    refused: refusals.count,
    async flush() {
      refusals.flush()
      await queue.settled()
      await link.anchor()
    },
    async query(filter) {
      await told()
      return history.query(filter)
    },
    sessions: history.sessions,
    retain: retention.run,
    stats: () => {
      const state = queue.state()
      return { ...state, ...link.anchors(), chain, tipSeq: link.openedAtSeq + state.committedSegments }
    },
    close,
  }
}

/** Which chain, and where what belongs to it lies. */
function placeOf({ home, chain, database }: RecorderOptions): HistoryWorkerData {
  if (chain !== undefined && !CHAIN_NAME.test(chain))
    throw new Fault('invalid', { hint: 'a chain is named with lower case letters, digits and -' })
  if (database === undefined) return { home, chain: chain ?? 'daemon', databaseUrl: undefined }
  const own = ensureChainName(home)
  return { home: chainFolder(home), chain: chain ?? own, databaseUrl: database.url }
}

function logChange(log: Log, state: QueueState): void {
  if (state.failing === undefined) log.info('the audit record is written again')
  else log.error({ reason: state.failing.reason }, 'the audit record cannot be written: calls are refused')
}

/** Lets the index follow the commits at a distance, and later while much is going on. */
function createIndexing(queue: SegmentQueue, fill: (busy: boolean) => void): { due(): void; stop(): void } {
  let timer: NodeJS.Timeout | undefined
  let before = 0
  let stopped = false
  function run(): void {
    timer = undefined
    const { committedEntries } = queue.state()
    const busy = committedEntries - before > BUSY_ENTRIES
    before = committedEntries
    fill(busy)
    if (busy) due()
  }
  function due(): void {
    if (!stopped) timer ??= setTimeout(run, FILL_MS).unref()
  }
  return {
    due,
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}

/** A record that begins anew says after which one: its absence would otherwise look like a first start. */
function recordSetAside(home: string, clock: Clock, queue: SegmentQueue): void {
  const directory = newestSetAside(home)
  if (directory === undefined) return
  queue.intent({
    type: 'intent',
    id: `set-aside-${clock.nowMs()}`,
    atMs: clock.nowMs(),
    event: 'set-aside audit',
    principal: 'local-admin',
    principalName: 'local-admin',
    target: directory,
    decision: 'allow',
  })
}
