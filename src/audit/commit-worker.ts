import { parentPort, workerData } from 'node:worker_threads'
import { appendAnchor, makeAnchor, tidyAnchors } from './anchors.ts'
import { createChain, sameMac } from './chain.ts'
import { checkpointStatement, recoverTip, type Tip } from './recover.ts'
import { isDamage, lockRecord, openWriter, type RecordWriter } from './record-file.ts'
import { createSigner } from './signer.ts'
import type {
  ArchivedMessage,
  CommitWorkerData,
  FromCommitWorker,
  SegmentMessage,
  ToCommitWorker,
} from './commit-messages.ts'

/**
 * The only writer of `audit.db` and of the anchors: a thread of its own, since it waits for the disk. It does as
 * little as it can for a segment: one MAC, one INSERT (its own transaction), one answer.
 */

const REMOVE_ROWS = 100
const REMOVE_PAUSE_MS = 20

const { home, chain: name, macKey, signKey, anchorEveryMs } = workerData as CommitWorkerData
const port = parentPort
if (port === null) throw new TypeError('commit-worker runs as a worker thread')

const say = (message: FromCommitWorker): void => port.postMessage(message, [])
const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
const chain = createChain(name, macKey)
const signer = createSigner(signKey)

function start(): void {
  let lock: ReturnType<typeof lockRecord>
  let file: RecordWriter
  try {
    lock = lockRecord(home)
    if (lock === undefined) return refuse('locked', 'the lock on audit.lock is held')
    tidyAnchors(home)
    file = openWriter(home)
  } catch (error) {
    return refuse(isDamage(error) ? 'damaged' : 'disk', reasonOf(error))
  }
  const tip = recovered(file)
  if (tip === undefined) return
  say({ type: 'open', seq: tip.seq })
  serve(file, tip, lock)
}

function refuse(why: 'locked' | 'damaged' | 'disk', detail: string): void {
  say({ type: 'refused', why, detail })
  port?.close()
}

function recovered(file: RecordWriter): Tip | undefined {
  try {
    const tip = recoverTip(home, chain, signer, file)
    if (tip.ok) return tip.value
    refuse('damaged', tip.error)
  } catch (error) {
    refuse('damaged', reasonOf(error))
  }
  return undefined
}

function serve(file: RecordWriter, start: Tip, lock: { release(): void }): void {
  const anchors = createAnchoring(() => committer.tip())
  const committer = createCommitter(file, start, anchors.due)
  // What a crash has left without an anchor gets one now.
  if (start.seq > 0) anchors.due()
  const end = (): void => {
    anchors.now()
    file.close()
    lock.release()
    say({ type: 'closed' })
    port?.close()
  }
  port?.on('message', (message: ToCommitWorker) => {
    switch (message.type) {
      case 'segment':
        return committer.commit(message)
      case 'archived':
        anchors.now()
        return letGo(file, message)
      case 'anchor':
        anchors.now()
        return say({ type: 'anchor-done' })
      case 'close':
        return end()
    }
  })
}

function createCommitter(file: RecordWriter, start: Tip, onCommit: () => void) {
  let tip = start
  // After a failed commit only the file knows whether the segment is in it.
  let doubtful = false
  return {
    tip: () => tip,
    commit({ count, firstAtMs, lastAtMs, body }: SegmentMessage): void {
      const content = { seq: tip.seq + 1, count, firstAtMs, lastAtMs, body }
      const mac = chain.mac(content, tip.mac)
      try {
        const there = doubtful ? file.segment(content.seq) : undefined
        if (there === undefined || !sameMac(there.mac, mac)) file.insert({ ...content, mac })
        doubtful = false
      } catch (error) {
        doubtful = true
        return say({ type: 'failed', reason: reasonOf(error) })
      }
      tip = { seq: content.seq, mac }
      say({ type: 'committed' })
      onCommit()
    },
  }
}

/** Anchors the tip at most `anchorEveryMs` after a commit. A disk that refuses is said and tried again. */
function createAnchoring(tip: () => Tip): { readonly due: () => void; readonly now: () => void } {
  let timer: NodeJS.Timeout | undefined
  let anchoredSeq = 0
  const now = (): void => {
    clearTimeout(timer)
    timer = undefined
    const { seq, mac } = tip()
    if (seq === anchoredSeq) return
    const atMs = Date.now()
    const content = { chain: name, seq, mac: Buffer.from(mac).toString('base64url'), atMs }
    try {
      appendAnchor(home, makeAnchor(content, signer))
      anchoredSeq = seq
      say({ type: 'anchored', seq, atMs })
    } catch (error) {
      say({ type: 'not-anchored', reason: reasonOf(error) })
      due()
    }
  }
  const due = (): void => {
    timer ??= setTimeout(now, anchorEveryMs)
  }
  return { due, now }
}

/** Signs the checkpoint; then the rows go, a few at a time, between commits. */
function letGo(file: RecordWriter, { archive }: ArchivedMessage): void {
  const content = JSON.stringify(archive)
  try {
    file.addCheckpoint({ archive, content, sig: signer.sign(checkpointStatement(name, content)) })
  } catch (error) {
    return say({ type: 'archive-done', reason: reasonOf(error) })
  }
  const slice = (): void => {
    try {
      if (file.removeUpTo(archive.toSeq, REMOVE_ROWS) < REMOVE_ROWS) say({ type: 'archive-done' })
      else setTimeout(slice, REMOVE_PAUSE_MS)
    } catch (error) {
      // The rows are in the archive and covered by the checkpoint: the next retention removes what is left.
      say({ type: 'archive-done', reason: reasonOf(error) })
    }
  }
  slice()
}

start()
