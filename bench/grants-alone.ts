import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { keyOf, type Grant } from '../src/grants/grant.ts'
import type { Grants } from '../src/grants/grants.ts'
import type { Wanted } from '../src/grants/wanted.ts'
import { makeHome, removeHome } from '../test/fixtures/daemon.ts'
import { oauthGrant, staticGrant } from '../test/fixtures/grant-memory.ts'
import { keep, openHome } from './grants-store.ts'
import { startProgram, type Measured } from './processes.ts'

export interface AloneFigures {
  /** Microseconds of `current`, what each call asks. */
  readonly staticUs: number
  readonly oauthUs: number
  /** The same, for as many people as there are, one after the other. */
  readonly peopleUs: number
  /** Milliseconds for one that is not in memory. */
  readonly coldMs: number
  readonly stampede: StampedeFigures
}

/** All of them run out at one time, and everybody calls. */
interface StampedeFigures {
  readonly people: number
  readonly seconds: number
  readonly perSecond: number
  readonly asked: number
  readonly mostAtOnce: number
  readonly failed: number
  /** Milliseconds. */
  readonly loopP50: number
  readonly loopP99: number
  /** Milliseconds until somebody whose token is good has it: meanwhile, and before. */
  readonly goodP99: number
  readonly goodP99Before: number
}

/** On loopback, so that its token endpoint may be there too. */
const ORIGIN = 'http://127.0.0.1:9'
const PURPOSE = { server: 'notes', origin: ORIGIN }
const HOUR = 3_600_000

const wantedOf = (grant: Grant): Wanted => ({
  profile: grant.profile,
  holder: grant.holder,
  name: grant.name,
  key: keyOf(grant),
  whose: grant.holder === '' ? 'shared' : 'per-user',
})

/** The grants in this process, on a real store, with no gateway around them. */
export async function measureAlone(people: number): Promise<AloneFigures> {
  const home = await makeHome()
  const issuer = await startProgram('null-issuer.ts', [])
  const open = await openHome(home)
  try {
    const now = Date.now()
    const shared = oauthGrant(now, { origins: [ORIGIN] }, { issuer: issuer.origin })
    const fixed = staticGrant({ origins: [ORIGIN] })
    const crowd = Array.from({ length: people }, (_, i) =>
      oauthGrant(
        now,
        { holder: `user:usr_${i}`, origins: [ORIGIN] },
        { issuer: issuer.origin, refresh: `refresh-of-${i}` },
      ),
    )
    await keep(open.rows, [shared, fixed, ...crowd])
    const { grants } = open
    const began = performance.now()
    for (const grant of crowd) await grants.ready(wantedOf(grant), PURPOSE)
    const coldMs = (performance.now() - began) / people
    await grants.ready(wantedOf(shared), PURPOSE)
    await grants.ready(wantedOf(fixed), PURPOSE)
    const alone = {
      staticUs: each(grants, [wantedOf(fixed)]),
      oauthUs: each(grants, [wantedOf(shared)]),
      peopleUs: each(grants, crowd.map(wantedOf)),
      coldMs,
    }
    const late = await runOut(open, crowd, now)
    return { ...alone, stampede: await measureStampede(late, wantedOf(shared), grants, issuer) }
  } finally {
    await open.close()
    await issuer.stop()
    await removeHome(home)
  }
}

const ASKED = 500_000

function each(grants: Grants, wanted: readonly Wanted[]): number {
  const loop = (): void => {
    for (let i = 0; i < ASKED; i += 1) grants.current(wanted[i % wanted.length] as Wanted, ORIGIN)
  }
  loop()
  // CPU and not time: other work on the machine is none of ours.
  const before = process.cpuUsage()
  loop()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / ASKED
}

/** As if an hour had gone by. */
async function runOut(
  { grants }: Awaited<ReturnType<typeof openHome>>,
  crowd: readonly Grant[],
  nowMs: number,
): Promise<readonly Wanted[]> {
  for (const grant of crowd)
    await grants.keeper.update(
      grant,
      (stored) =>
        stored?.oauth?.tokens && {
          ...stored,
          oauth: {
            ...stored.oauth,
            tokens: { ...stored.oauth.tokens, obtainedAtMs: nowMs - HOUR, expiresAtMs: nowMs },
          },
        },
      false,
    )
  return crowd.map(wantedOf)
}

async function measureStampede(
  late: readonly Wanted[],
  good: Wanted,
  grants: Grants,
  issuer: Measured,
): Promise<StampedeFigures> {
  const before = await askNowAndThen(grants, good, sleep(1000))
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const began = performance.now()
  const all = Promise.all(late.map((wanted) => grants.ready(wanted, PURPOSE)))
  const during = await askNowAndThen(grants, good, all)
  const seconds = (performance.now() - began) / 1000
  delay.disable()
  const failed = (await all).filter(({ ok }) => !ok).length
  const stats = (await (await fetch(`${issuer.origin}/stats`)).json()) as { asked: number; most: number }
  return {
    people: late.length,
    seconds,
    perSecond: late.length / seconds,
    asked: stats.asked,
    mostAtOnce: stats.most,
    failed,
    loopP50: delay.percentile(50) / 1e6,
    loopP99: delay.percentile(99) / 1e6,
    goodP99: p99(during),
    goodP99Before: p99(before),
  }
}

/** Milliseconds of each time that somebody whose token is good asks for it, until the other work is done. */
async function askNowAndThen(grants: Grants, wanted: Wanted, until: Promise<unknown>): Promise<number[]> {
  const took: number[] = []
  const over = new AbortController()
  const end = until.then(() => over.abort())
  while (!over.signal.aborted) {
    const began = performance.now()
    const found = await grants.ready(wanted, PURPOSE)
    if (!found.ok) throw new Error(found.error.message)
    took.push(performance.now() - began)
    await sleep(1)
  }
  await end
  return took
}

function p99(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length * 0.99)] ?? NaN
}
