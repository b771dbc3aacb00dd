import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { entryUrl, workerEnvironment } from '../lib/entry.ts'
import { Fault } from '../lib/fault.ts'
import type { Log } from '../lib/log.ts'
import type { Tips } from './entry.ts'
import type {
  ArchiveFile,
  CommitWorkerData,
  FromCommitWorker,
  RefusedStart,
  SegmentMessage,
  ToCommitWorker,
} from './commit-messages.ts'

/** The commit worker, seen from the gateway's thread. */
export interface CommitLink {
  /** Newest segment that was on disk when it opened. */
  readonly openedAtSeq: number
  /** One at a time: `CommitEvents` says what became of it. */
  readonly post: (segment: SegmentMessage) => void
  /** Resolves once the tip is anchored, or could not be. */
  readonly anchor: () => Promise<void>
  /** Resolves once what has moved in the other chains is said as `tips`, or could not be found out in time. */
  readonly look: () => Promise<void>
  /** @returns why the archived segments are still in the record, undefined when they are not */
  readonly letGo: (archive: ArchiveFile) => Promise<string | undefined>
  readonly anchors: () => AnchorState
  readonly close: () => Promise<void>
}

export interface CommitEvents {
  committed(): void
  failed(reason: string): void
  /** Nothing is being written, and nothing could be. */
  unreachable(reason: string): void
  reachable(): void
  tips(tips: Tips): void
}

export interface AnchorState {
  /** Newest segment with an anchor, 0 before the first of this life. */
  readonly anchoredSeq: number
  /** Why anchors cannot be written at the moment (a full disk, for example). */
  readonly anchorProblem: string | undefined
}

const HINTS: Record<RefusedStart, string> = {
  locked: 'another daemon writes the audit record of this home: stop it with `castellan down`',
  damaged:
    'the audit record is not the one that was written: `castellan audit verify` says what is wrong, `castellan audit set-aside` keeps it in a folder of its own and lets the daemon start a new one',
  taken:
    'another daemon writes this chain of the audit record: each daemon needs a home of its own, and a copy of one must not keep its audit-postgres folder',
  disk: 'the audit record cannot be opened: check that the home is writable and has space; the log has the reason',
  database:
    'the audit record in the database cannot be opened: check its address, and that its user may create tables there; the log has the reason',
}

const ENDED = 'the audit thread has ended'

/**
 * Starts the thread and waits until it has the record open.
 * @param options.environment what the driver of the database reads besides the address
 * @throws Fault `unavailable` when the record is locked, damaged, or cannot be opened
 */
export async function openCommitLink(
  data: CommitWorkerData,
  log: Log,
  { events, environment }: { events: CommitEvents; environment: Readonly<Record<string, string>> },
): Promise<CommitLink> {
  const worker = new Worker(entryUrl('audit/commit-worker'), {
    workerData: data,
    name: 'audit-commit',
    env: { ...workerEnvironment(), ...environment },
  })
  // Not `once`, which rejects for an `error` that comes before the exit.
  const exit = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  const openedAtSeq = await opening(worker, exit)
  const ear = createEar(log, events)
  let gone = false
  worker.on('message', ear.hear)
  worker.on('error', (error) => log.error({ err: error }, 'the audit thread failed'))
  worker.on('exit', () => {
    gone = true
    ear.ended()
  })
  const send = (message: ToCommitWorker): void => worker.postMessage(message, [])
  return {
    openedAtSeq,
    post: (segment) => (gone ? events.failed(ENDED) : send(segment)),
    async anchor() {
      if (gone) return
      send({ type: 'anchor' })
      await ear.next('anchor-done')
    },
    async look() {
      if (gone) return
      send({ type: 'look' })
      await ear.next('look-done')
    },
    async letGo(archive) {
      if (gone) return ENDED
      send({ type: 'archived', archive })
      return ear.next('archive-done')
    },
    anchors: ear.anchors,
    async close() {
      send({ type: 'close' })
      await exit
    },
  }
}

async function opening(worker: Worker, exit: Promise<unknown>): Promise<number> {
  const [first] = (await once(worker, 'message')) as [FromCommitWorker]
  if (first.type === 'open') return first.seq
  await exit
  if (first.type !== 'refused') throw new TypeError('the commit worker spoke out of turn')
  throw new Fault('unavailable', { hint: HINTS[first.why], detail: first.detail })
}

type Done = 'anchor-done' | 'archive-done' | 'look-done'

function createEar(log: Log, events: CommitEvents) {
  /** Answers come in the order of the questions. */
  const waiting: Record<Done, ((reason: string | undefined) => void)[]> = {
    'anchor-done': [],
    'archive-done': [],
    'look-done': [],
  }
  let anchoredSeq = 0
  let anchorProblem: string | undefined
  let closed = false

  function hear(message: FromCommitWorker): void {
    switch (message.type) {
      case 'committed':
        return events.committed()
      case 'failed':
        return events.failed(message.reason)
      case 'unreachable':
        return events.unreachable(message.reason)
      case 'reachable':
        return events.reachable()
      case 'tips':
        return events.tips(message.tips)
      case 'anchored':
        if (anchorProblem !== undefined) log.info('anchors of the audit record are written again')
        anchoredSeq = message.seq
        anchorProblem = undefined
        return
      case 'not-anchored':
        if (anchorProblem === undefined)
          log.error({ reason: message.reason }, 'anchors of the audit record cannot be written')
        anchorProblem = message.reason
        return
      case 'anchor-done':
      case 'archive-done':
      case 'look-done':
        return waiting[message.type].shift()?.('reason' in message ? message.reason : undefined)
      case 'closed':
        closed = true
        return
      case 'open':
      case 'refused':
        throw new TypeError('the commit worker spoke out of turn')
    }
  }

  /** Nothing is recorded from here on, so nothing is accepted: fail closed until the daemon is started again. */
  function ended(): void {
    if (!closed) events.failed(ENDED)
    for (const answers of Object.values(waiting)) for (const answer of answers.splice(0)) answer(ENDED)
  }

  return {
    hear,
    ended,
    next: (done: Done): Promise<string | undefined> => new Promise((resolve) => waiting[done].push(resolve)),
    anchors: (): AnchorState => ({ anchoredSeq, anchorProblem }),
  }
}
