import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Recorder, Segment } from '../../audit/entry.ts'
import { openRecorder } from '../../audit/recorder.ts'
import type { SessionStore } from '../../gateway/classify/session.ts'
import { Fault } from '../../lib/fault.ts'
import { systemClock as clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { deriveKey } from '../../secrets/derive-key.ts'
import { loadMasterKey } from '../../secrets/master-key.ts'
import { openSqliteState } from '../../store/sqlite/open-sqlite.ts'
import { createSessionStore } from '../session-store.ts'
import { createMemorySessions } from './memory-sessions.ts'

/** What an edge keeps: its sessions and its own record; nothing of anybody else. */
export interface Kept {
  readonly recorder: Recorder
  readonly sessions: SessionStore
  /** Seals what clients carry between the rounds of a call. */
  readonly stateKey: Buffer
  /** Calls can be put on a record here, so servers may be reached from here. */
  readonly hasRecord: boolean
}

/**
 * @param home undefined: everything is in memory, and whatever is recorded the control plane records
 * @throws Fault `unavailable` when the home cannot be used
 */
export function openKept(
  home: string | undefined,
  log: Log,
  closers: (() => Promise<void> | void)[],
): Promise<Kept> {
  if (home !== undefined) return openInHome(home, log, closers)
  return Promise.resolve({
    recorder: FORWARDED,
    sessions: createMemorySessions(),
    stateKey: randomBytes(32),
    hasRecord: false,
  })
}

async function openInHome(home: string, log: Log, closers: (() => Promise<void> | void)[]): Promise<Kept> {
  if (existsSync(join(home, 'admin-credential')))
    throw new Fault('unavailable', {
      hint: 'this home belongs to a daemon with a configuration of its own, and an edge gateway may hold none of that; name another with --home',
    })
  // Of this home alone: it seals and signs what the edge itself has written, and opens nothing of anybody else.
  const { master } = await loadMasterKey({ home, usedWith: [] })
  const state = await openSqliteState(home, log)
  closers.push(() => state.close())
  const recorder = await openRecorder({
    home,
    clock,
    log,
    macKey: deriveKey(master, 'audit-mac'),
    signKey: deriveKey(master, 'audit-sign'),
  })
  closers.push(() => recorder.close())
  return {
    recorder,
    sessions: createSessionStore(state.state, clock),
    stateKey: deriveKey(master, 'request-state'),
    hasRecord: true,
  }
}

const WRITTEN: Segment = { committed: true, durable: Promise.resolve(true) }

/** Every call goes through the control plane, which records it, and refuses it where it cannot. */
const FORWARDED: Recorder = {
  accepts: () => true,
  intent: () => WRITTEN,
  outcome() {},
  refused() {},
  flush: () => Promise.resolve(),
  close: () => Promise.resolve(),
}
