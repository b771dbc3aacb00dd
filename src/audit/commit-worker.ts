import { parentPort, workerData } from 'node:worker_threads'
import { appendAnchor, makeAnchor, tidyAnchors } from './anchors.ts'
import { createChain, sameMac } from './chain.ts'
import { checkpointStatement, recoverTip, type Tip } from './recover.ts'
import { watchReachability, type Reachability } from './reachability.ts'
import type { ChainWriter } from './record.ts'
import { isDamage, lockRecord, openWriter } from './record-file.ts'
import { createSigner } from './signer.ts'
import { watchTips } from './watch-tips.ts'
import type {
  ArchivedMessage,
  CommitWorkerData,
  FromCommitWorker,
  RefusedStart,
  SegmentMessage,
  ToCommitWorker,
} from './commit-messages.ts'

/**
 * The only writer of a chain and of its anchors: a thread of its own, since it waits for the disk or the database. It
 * does as little as it can for a segment: one MAC, one INSERT (its own transaction), one answer.
 */

const REMOVE_ROWS = 100
const REMOVE_PAUSE_MS = 20
/** A commit that ended this long ago says that the next would be taken. */
const JUST_NOW_MS = 1000
/** What is said of the other chains grows with the square of their number, so it is said less often than anchors. */
const ANCHORS_PER_LOOK = 10

const { home, chain: name, databaseUrl, macKey, signKey, anchorEveryMs } = workerData as CommitWorkerData
const port = parentPort
if (port === null) throw new TypeError('commit-worker runs as a worker thread')

const say = (message: FromCommitWorker): void => port.postMessage(message, [])
const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
const chain = createChain(name, macKey)
const signer = createSigner(signKey)
/** Of a record in a database, once it is open. */
let reachability: Reachability | undefined

async function start(): Promise<void> {
  let lock: ReturnType<typeof lockRecord>
  let writer: ChainWriter | undefined
  try {
    lock = lockRecord(home)
    if (lock === undefined) return refuse('locked', 'the lock on audit.lock is held')
    tidyAnchors(home)
    writer = await open()
    if (writer === undefined) return refuse('taken', 'another session holds the lock of this chain')
    const tip = await recoverTip(home, chain, signer, writer)
    if (tip.ok) return serve(writer, tip.value, lock)
    refuse('damaged', tip.error)
  } catch (error) {
    const cannotOpen = databaseUrl === undefined ? 'disk' : 'database'
    refuse(isDamage(error) ? 'damaged' : cannotOpen, reasonOf(error))
  }
  await writer?.close()
}

/** @returns undefined while another daemon writes this chain */
async function open(): Promise<ChainWriter | undefined> {
  if (databaseUrl === undefined) return openWriter(home)
  // Loaded on use: a record in a file needs no driver.
  const { openChainTable } = await import('./postgres/chain-table.ts')
  return openChainTable(databaseUrl, name, () => reachability?.look())
}

function refuse(why: RefusedStart, detail: string): void {
  say({ type: 'refused', why, detail })
  port?.close()
}

function serve(writer: ChainWriter, start: Tip, lock: { release(): void }): void {
  const committer = createCommitter(writer, start, () => anchors.due())
  const anchors = createAnchoring(writer, committer.tip)
  say({ type: 'open', seq: start.seq })
  const { ping, others } = writer
  if (ping !== undefined) reachability = watchReachability({ ping, isBusy: committer.isBusy, say, reasonOf })
  const tips =
    others === undefined
      ? undefined
      : watchTips({
          chain: name,
          others,
          signer,
          nowMs: Date.now,
          everyMs: ANCHORS_PER_LOOK * anchorEveryMs,
          say: (seen) => say({ type: 'tips', tips: seen }),
        })
  // What a crash has left without an anchor gets one now.
  if (start.seq > 0) anchors.due()
  const end = async (): Promise<void> => {
    reachability?.stop()
    tips?.stop()
    await committer.idle()
    await anchors.now()
    await writer.close()
    lock.release()
    say({ type: 'closed' })
    port?.close()
  }
  port?.on('message', (message: ToCommitWorker) => {
    switch (message.type) {
      case 'segment':
        return committer.commit(message)
      case 'archived':
        return void anchors.now().then(() => letGo(writer, message))
      case 'anchor':
        return void anchors.now().then(() => say({ type: 'anchor-done' }))
      case 'look':
        return void Promise.resolve(tips?.last()).then(() => say({ type: 'look-done' }))
      case 'close':
        return void end()
    }
  })
}

/** One segment at a time: the next one comes after the answer to the one before. */
function createCommitter(writer: ChainWriter, start: Tip, onCommit: () => void) {
  let tip = start
  // After a failed commit only the record itself knows whether the segment is in it.
  let doubtful = false
  let running: Promise<void> = Promise.resolve()

  /** Since when nothing is under way, ms; undefined: a commit is. */
  let idleSinceMs: number | undefined = Date.now()

  async function put({ count, firstAtMs, lastAtMs, body }: SegmentMessage): Promise<void> {
    const content = { seq: tip.seq + 1, count, firstAtMs, lastAtMs, body }
    const mac = chain.mac(content, tip.mac)
    try {
      const there = doubtful ? await writer.segment(content.seq) : undefined
      if (there === undefined || !sameMac(there.mac, mac)) await writer.insert({ ...content, mac })
      doubtful = false
    } catch (error) {
      doubtful = true
      return say({ type: 'failed', reason: reasonOf(error) })
    }
    tip = { seq: content.seq, mac }
    say({ type: 'committed' })
    onCommit()
  }

  return {
    tip: () => tip,
    commit(message: SegmentMessage): void {
      idleSinceMs = undefined
      running = put(message).finally(() => {
        idleSinceMs = Date.now()
      })
    },
    isBusy: () => idleSinceMs === undefined || Date.now() - idleSinceMs < JUST_NOW_MS,
    idle: () => running,
  }
}

/** Anchors the tip at most `anchorEveryMs` after a commit. A disk that refuses is said and tried again. */
function createAnchoring(
  writer: ChainWriter,
  tip: () => Tip,
): { readonly due: () => void; readonly now: () => Promise<void> } {
  let timer: NodeJS.Timeout | undefined
  let anchoredSeq = 0
  async function now(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    const { seq, mac } = tip()
    if (seq === anchoredSeq) return
    const atMs = Date.now()
    const anchor = makeAnchor({ chain: name, seq, mac: Buffer.from(mac).toString('base64url'), atMs }, signer)
    try {
      appendAnchor(home, anchor)
      anchoredSeq = seq
      say({ type: 'anchored', seq, atMs })
    } catch (error) {
      say({ type: 'not-anchored', reason: reasonOf(error) })
      return due()
    }
    await writer.keepAnchor(JSON.stringify(anchor))
  }
  const due = (): void => {
    timer ??= setTimeout(() => void now(), anchorEveryMs)
  }
  return { due, now }
}

/** Signs the checkpoint; then the rows go, a few at a time, between commits. */
async function letGo(writer: ChainWriter, { archive }: ArchivedMessage): Promise<void> {
  const content = JSON.stringify(archive)
  try {
    await writer.addCheckpoint({ archive, content, sig: signer.sign(checkpointStatement(name, content)) })
    // What cannot be removed is in the archive and covered by the checkpoint: the next retention removes what is left.
    while ((await writer.removeUpTo(archive.toSeq, REMOVE_ROWS)) === REMOVE_ROWS)
      await new Promise((resolve) => setTimeout(resolve, REMOVE_PAUSE_MS))
    say({ type: 'archive-done' })
  } catch (error) {
    say({ type: 'archive-done', reason: reasonOf(error) })
  }
}

void start()
