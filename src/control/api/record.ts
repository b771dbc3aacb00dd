import type { Principal } from '../../access/principal.ts'
import { authorize, type Permission, type Verb } from '../../access/authorize.ts'
import type { Intent, Recorder } from '../../audit/entry.ts'
import type { Clock } from '../../lib/clock.ts'
import { asFault, Fault } from '../../lib/fault.ts'
import type { BootEpoch } from '../../lib/id.ts'
import type { BeforeChange } from '../change/change.ts'

export interface ApiRecordDeps {
  readonly recorder: Pick<Recorder, 'accepts' | 'intent' | 'outcome' | 'refused'>
  readonly bootEpoch: BootEpoch
  readonly clock: Clock
}

/** One thing that is done, or refused: `create servers` of a name. */
interface Act {
  readonly verb: Verb
  /** Plural of the kind, or one of the daemon's own words. */
  readonly kind: string
  readonly name?: string | undefined
  readonly project?: string | undefined
}

export interface ApiRecord {
  /**
   * Does `work` with its intents on the record: they are durable before anything changes. What is refused before
   * there was an intent leaves a denial.
   */
  change<T>(principal: Principal, attempt: Act, work: (before: BeforeChange) => Promise<T>): Promise<T>
  /** The same for something that changes no resource, such as a shutdown. */
  act<T>(principal: Principal, act: Act, work: () => Promise<T>): Promise<T>
  denied(principal: Principal, act: Act, reason: string): void
  unauthenticated(source: string, reason: string): void
}

const UNRECORDED = 'the audit record cannot be written, so nothing was changed; castellan status says more'

export function createApiRecord({ recorder, bootEpoch, clock }: ApiRecordDeps): ApiRecord {
  let counter = 0
  const intentOf = (
    principal: Principal,
    act: Act,
    decision: Intent['decision'],
    reason?: string,
  ): Intent => ({
    type: 'intent',
    // The gateway counts too: the letter keeps the two apart.
    id: `${bootEpoch}-c${(counter += 1)}`,
    atMs: clock.nowMs(),
    event: `${act.verb} ${act.kind}`,
    principal: principal.key,
    principalName: principal.name,
    project: act.project,
    target: act.name,
    decision,
    reason,
  })
  const denied: ApiRecord['denied'] = (principal, act, reason) =>
    void recorder.intent(intentOf(principal, act, 'deny', reason))

  /** Queues the intents of one change and waits until all of them are on disk. */
  async function announce(principal: Principal, acts: readonly Act[]): Promise<readonly string[]> {
    if (!recorder.accepts()) throw new Fault('unavailable', { hint: UNRECORDED })
    const intents = acts.map((act) => intentOf(principal, act, 'allow'))
    for (const segment of new Set(intents.map((intent) => recorder.intent(intent)))) {
      if (!segment.committed && !(await segment.durable)) throw new Fault('unavailable', { hint: UNRECORDED })
    }
    return intents.map(({ id }) => id)
  }

  async function run<T>(
    principal: Principal,
    attempt: Act,
    work: (announceActs: (acts: readonly Act[]) => Promise<void>) => Promise<T>,
  ): Promise<T> {
    const startedMs = clock.tickMs()
    let ids: readonly string[] = []
    const finish = (status: 'ok' | 'error', code?: string): void => {
      const durationMs = clock.tickMs() - startedMs
      for (const of of ids)
        recorder.outcome({ type: 'outcome', of, atMs: clock.nowMs(), status, durationMs, code })
    }
    try {
      const value = await work(async (acts) => {
        ids = await announce(principal, acts)
      })
      finish('ok')
      return value
    } catch (thrown) {
      const { code } = asFault(thrown)
      if (ids.length === 0) denied(principal, attempt, code)
      else finish('error', code)
      throw thrown
    }
  }

  return {
    change: (principal, attempt, work) =>
      run(principal, attempt, (announceActs) =>
        work((steps) => {
          const acts = steps.map(({ verb, manifest: { definition, name, project } }) => ({
            verb,
            kind: definition.plural,
            name,
            project: project === '' ? undefined : project,
          }))
          for (const act of acts) requirePermission(principal, act)
          return announceActs(acts)
        }),
      ),
    act: (principal, act, work) =>
      run(principal, act, async (announceActs) => {
        await announceActs([act])
        return work()
      }),
    denied,
    unauthenticated: (source, reason) => recorder.refused(source, reason),
  }
}

/** @throws Fault `forbidden` */
function requirePermission(principal: Principal, permission: Permission): void {
  const denial = authorize(principal, permission)
  if (denial !== undefined) throw new Fault('forbidden', { detail: denial })
}
