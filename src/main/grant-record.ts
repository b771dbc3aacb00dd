import type { Recorder } from '../audit/entry.ts'
import { grantTarget } from '../control/api/grants/whose-grant.ts'
import type { SnapshotSource } from '../control/snapshot/snapshot.ts'
import { SHARED } from '../grants/holder.ts'
import type { Doing, Recorded } from '../grants/recorded.ts'
import type { Clock } from '../lib/clock.ts'
import { err } from '../lib/result.ts'
import type { TokenFailure } from '../oauth/client/token-answer.ts'

export interface GrantRecordDeps {
  readonly recorder: Pick<Recorder, 'accepts' | 'intent' | 'outcome'>
  readonly snapshot: Pick<SnapshotSource, 'state'>
  /** Boot epoch of this process. */
  readonly self: string
  readonly clock: Clock
}

/**
 * What is shown to those who issue grants (a sign-in in exchange, a refresh token, what is taken back), for whom, and
 * what came of it: on the record before it leaves.
 */
export function createGrantRecord(deps: GrantRecordDeps): Recorded {
  const { recorder, clock } = deps
  let counter = 0

  async function isRecorded(id: string, { doing, server, ...key }: Doing): Promise<boolean> {
    if (!recorder.accepts()) return false
    const state = deps.snapshot.state()
    const { holder } = key
    const user = state.byUid.get(holder.slice(holder.indexOf(':') + 1))?.resource.metadata
    const segment = recorder.intent({
      type: 'intent',
      id,
      atMs: clock.nowMs(),
      event: `${doing} grants`,
      principal: holder === SHARED ? 'system' : holder,
      principalName: holder === SHARED ? 'system' : (user?.name ?? holder),
      user: holder.startsWith('user:') ? user?.name : undefined,
      server,
      target: grantTarget(state, key),
      grant: key.name,
      decision: 'allow',
    })
    return segment.committed || segment.durable
  }

  return async (about, work) => {
    // The gateway and the control API count too: the letter keeps them apart.
    const id = `${deps.self}-x${(counter += 1)}`
    const startedMs = clock.tickMs()
    if (!(await isRecorded(id, about))) return err(UNRECORDED)
    const done = await work()
    recorder.outcome({
      type: 'outcome',
      of: id,
      atMs: clock.nowMs(),
      status: done.ok ? 'ok' : 'error',
      durationMs: clock.tickMs() - startedMs,
      code: done.ok ? undefined : (done.error.code ?? (done.error.isAway === true ? 'away' : 'unusable')),
    })
    return done
  }
}

const UNRECORDED: TokenFailure = {
  message:
    'the audit record cannot be written, so nothing was asked of its issuer; castellan status says more',
  final: false,
  code: undefined,
}
