import type { Recorder } from '../../audit/entry.ts'
import type { SnapshotSource } from '../../control/snapshot/snapshot.ts'
import type { ExchangeAbout, SignInSource } from '../../grants/exchange.ts'
import type { Clock } from '../../lib/clock.ts'
import { err } from '../../lib/result.ts'
import type { TokenFailure } from '../../oauth/client/token-answer.ts'

export interface ExchangeRecordDeps {
  readonly recorder: Pick<Recorder, 'accepts' | 'intent' | 'outcome'>
  readonly snapshot: Pick<SnapshotSource, 'state'>
  /** Boot epoch of this process. */
  readonly self: string
  readonly clock: Clock
}

/** Who has shown a sign-in, for which grant and server, and what came of it: on the record before it leaves. */
export function createExchangeRecord(deps: ExchangeRecordDeps): SignInSource['recorded'] {
  const { recorder, clock } = deps
  let counter = 0

  async function isRecorded(id: string, { holder, grant, server }: ExchangeAbout): Promise<boolean> {
    if (!recorder.accepts()) return false
    const user = deps.snapshot.state().byUid.get(holder.slice(holder.indexOf(':') + 1))?.resource.metadata
    const segment = recorder.intent({
      type: 'intent',
      id,
      atMs: clock.nowMs(),
      event: 'exchange grants',
      principal: holder,
      principalName: user?.name ?? holder,
      user: user?.name,
      server,
      target: grant,
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
  message: 'the audit record cannot be written, so nothing was exchanged for it; castellan status says more',
  final: false,
  code: undefined,
}
