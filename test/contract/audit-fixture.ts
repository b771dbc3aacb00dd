import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Intent, Outcome } from '../../src/audit/entry.ts'
import { openRecorder, type AuditRecorder, type RecorderOptions } from '../../src/audit/recorder.ts'
import { verifyRecord, type VerifyOptions } from '../../src/audit/verify-file.ts'
import type { VerifyReport } from '../../src/audit/verify.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'

/** Keys and entries for tests of the record. */
export const keys = { macKey: new Uint8Array(32).fill(1), signKey: new Uint8Array(32).fill(2) }

export const freshHome = (): string => mkdtempSync(join(tmpdir(), 'castellan-audit-'))

export const openTest = (home: string, options: Partial<RecorderOptions> = {}): Promise<AuditRecorder> =>
  openRecorder({ home, ...keys, clock: systemClock, log: silentLog, ...options })

export const verifyTest = (home: string, options: Partial<VerifyOptions> = {}): Promise<VerifyReport> =>
  verifyRecord({ home, chain: 'daemon', ...keys, ...options })

export const intent = (id: string, more: Partial<Intent> = {}): Intent => ({
  type: 'intent',
  id,
  atMs: Date.now(),
  event: 'tools/call',
  principal: 'token:tok_1',
  principalName: 'laptop',
  project: 'demo',
  server: 'everything',
  target: 'echo',
  decision: 'allow',
  ...more,
})

export const outcome = (of: string, more: Partial<Outcome> = {}): Outcome => ({
  type: 'outcome',
  of,
  atMs: Date.now(),
  status: 'ok',
  durationMs: 1.5,
  ...more,
})

/** A segment for each id, each committed before the next. */
export async function recordEach(
  recorder: AuditRecorder,
  ids: readonly string[],
  atMs = Date.now(),
): Promise<void> {
  for (const id of ids)
    if (!(await recorder.intent(intent(id, { atMs })).durable)) throw new Error('not durable')
}
