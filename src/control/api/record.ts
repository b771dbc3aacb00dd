import type { Permission, Verb } from '../../access/permission.ts'
import { whoIs, type Principal } from '../../access/principal.ts'
import type { Intent, Recorder, RefusedAttempt } from '../../audit/entry.ts'
import type { Clock } from '../../lib/clock.ts'
import { asFault, Fault } from '../../lib/fault.ts'
import type { BootEpoch } from '../../lib/id.ts'
import type { BeforeChange, ChangeStep } from '../change/change.ts'
import { DENIAL_RECORDED } from './call-access.ts'
import { guardChange, type Caller } from './guard-change.ts'

export interface ApiRecordDeps {
  readonly recorder: Pick<Recorder, 'accepts' | 'intent' | 'outcome' | 'refused'>
  readonly bootEpoch: BootEpoch
  readonly clock: Clock
}

/** One thing that is done, or refused: `create servers` of a name. */
export interface Act {
  /** A right, what happened to a sign-in, or what is done with a grant that is there. */
  readonly verb: Verb | 'sign-in' | 'sign-out' | 'bind' | 'refresh' | 'test'
  /** Plural of the kind, or one of the daemon's own words. */
  readonly kind: string
  readonly name?: string | undefined
  readonly project?: string | undefined
  /** Name of the grant that it is about, where `name` says whose as well. */
  readonly grant?: string | undefined
}

export interface ApiRecord {
  /**
   * Does `work` with its intents on the record: they are durable before anything changes. What is refused before
   * there was an intent leaves a denial.
   */
  change<T>(by: Caller, attempt: Act, work: (before: BeforeChange) => Promise<T>): Promise<T>
  /** The same for something that changes no resource, such as a shutdown. */
  act<T>(by: Pick<Caller, 'principal'>, act: Act, work: () => Promise<T>): Promise<T>
  denied(principal: Principal, permission: Permission, reason: string): void
  /** Counted, not written one by one; for a sign-in that failed with its event and a digest of its account. */
  unauthenticated(source: string, reason: string, attempt?: RefusedAttempt): void
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
    ...whoIs(principal),
    project: act.project,
    target: act.name,
    grant: act.grant,
    decision,
    reason,
  })
  const deny = (principal: Principal, act: Act, reason: string): void =>
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
      const { code, detail } = asFault(thrown)
      // A denial by the authorizer is on the record already, with what was wanted.
      if (ids.length === 0 && detail !== DENIAL_RECORDED) deny(principal, attempt, code)
      if (ids.length > 0) finish('error', code)
      throw thrown
    }
  }

  return {
    change: (by, attempt, work) =>
      run(by.principal, attempt, (announceActs) =>
        work({
          permit: (steps) => {
            for (const step of steps) guardChange(by, step)
          },
          sees: ({ definition, name, project }) =>
            by.access.decide({
              verb: 'view',
              kind: definition.plural,
              name,
              project: project === '' ? undefined : project,
            }).allowed,
          announce: (steps) => announceActs(steps.map(actOfStep)),
        }),
      ),
    act: ({ principal }, act, work) =>
      run(principal, act, async (announceActs) => {
        await announceActs([act])
        return work()
      }),
    denied: (principal, permission, reason) => deny(principal, actOf(permission), reason),
    unauthenticated: (source, reason, attempt) => recorder.refused(source, reason, attempt),
  }
}

const actOfStep = ({ verb, manifest: { definition, name, project } }: ChangeStep): Act => ({
  verb,
  kind: definition.plural,
  name,
  project: project === '' ? undefined : project,
})

const actOf = (permission: Permission): Act =>
  'operation' in permission
    ? { verb: 'run', kind: permission.operation, name: permission.name, project: permission.project }
    : permission
