import { withoutCredential, type AuthRefusal } from '../access/authenticate.ts'
import type { Principal } from '../access/principal.ts'
import { compileAccess, type ProjectAccess } from '../access/project-access.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { Era } from '../protocol/revisions.ts'
import type { SecretValue } from '../lib/secret-value.ts'
import { bearerIn } from './bearer.ts'
import {
  createCaller,
  holds,
  holdsUntil,
  isHalfOver,
  momentOf,
  NEVER,
  type Caller,
  type HoldTimes,
  type Moment,
} from './caller.ts'
import type { ControlPlane, Failure } from './control-plane.ts'
import { principalOf, type ActiveStanding, type Standing } from './standing.ts'
import { createViewTable } from './view-table.ts'
import type { ProjectView, ServerView } from './views.ts'
import { createWatches } from './watches.ts'

export interface CallersDeps {
  readonly control: ControlPlane
  readonly times: HoldTimes
  /** Servers may be reached from here. */
  readonly mayReach: boolean
  readonly clock: Clock
  readonly log: Log
  /** What somebody sees of a project is another than before, or nothing any more. */
  readonly changed: (project: string) => void
  /** Somebody who may have something open may no longer be here. */
  readonly lapsed: () => void
  /** The control plane has answered, or has not. */
  readonly heard: (failure: Failure | undefined) => void
}

/** Who calls an edge: asked of the control plane with each caller's own credential, and held for as long as that holds. */
export interface Callers {
  /** As `Authenticator` has it; so is `authenticate`. */
  prepare(authorization: string | undefined, about: About): Promise<void> | undefined
  authenticate(authorization: string | undefined, connection?: object): Result<Principal, AuthRefusal>
  access(principal: Principal, project: string): ProjectAccess | undefined
  /** As far as what is known of them holds at this moment, by the key of the principal. */
  accessOf(principal: string, project: string): ProjectAccess | undefined
  /** As this caller sees it; without one: as anybody here does. */
  view(project: string, principal?: string, era?: Era): ProjectView | undefined
  views(): Iterable<ProjectView>
  server(uid: string): ServerView | undefined
  /** The credential to send for a caller, by the name that their views have for it; undefined: they are not known any more. */
  secret(grant: string): SecretValue | undefined
  /** It was refused: what is known of it does not hold. */
  doubt(grant: string): void
  readonly size: number
  readonly watched: number
  close(): void
}

interface About {
  readonly project: string
  readonly connection: object
}

/** Of those who are known at one time; beyond that whoever has not called for the longest time is asked about anew. */
const MAX_CALLERS = 20_000
const MAX_ASKING = 1000
const LOOK_MS = 500
/** Who has not called for so long is watched no more, and who is not watched is not asked about any more. */
const WATCHED_IDLE_MS = 60 * 60_000
const UNWATCHED_IDLE_MS = 60_000
/** Those who are not watched are asked about this long before their time is over. */
const ASK_EARLY_MS = 2500

const UNAVAILABLE: Result<Principal, AuthRefusal> = err({ reason: 'unavailable' })
const UNKNOWN: Result<Principal, AuthRefusal> = err({ reason: 'unknown' })

/** Whoever is no caller at all goes first, then who has not called for the longest time. */
const worthOf = ({ standing, usedTick }: Caller): number => (standing === 'good' ? usedTick : -Infinity)

const placeOf = (caller: Caller): string => `${caller.principal?.key ?? ''} ${caller.project}`
const GRANT = 'caller:'
const grantOf = (caller: Caller): string => GRANT + placeOf(caller)

export function createCallers(deps: CallersDeps): Callers {
  const { control, times, clock } = deps
  const callers = new Map<string, Caller>()
  const byPlace = new Map<string, Caller>()
  const byConnection = new WeakMap<object, { readonly authorization: string; readonly caller: Caller }>()
  const views = createViewTable({ controlUrl: control.url, mayReach: deps.mayReach, grantOf })
  const watches = createWatches({ control, clock, heard: heardOf })
  let asking = 0
  const timer = setInterval(() => {
    for (const caller of callers.values()) tend(caller)
  }, LOOK_MS).unref()

  const holdsNow = (caller: Caller): boolean => holds(caller, times, clock)
  /** Nothing has to be asked before a request of theirs can be decided on. */
  const isKnown = (caller: Caller): boolean =>
    holdsNow(caller) && (caller.access === undefined || caller.views !== undefined)

  function callerOf(authorization: string, { project, connection }: About): Caller | undefined {
    const before = byConnection.get(connection)
    if (before?.authorization === authorization && (before.caller.asksAbout ?? project) === project) {
      const there = callers.get(before.caller.key)
      if (there === undefined || there === before.caller) return before.caller
    }
    const bearer = bearerIn(authorization)
    if (bearer === undefined) return undefined
    const asksAbout = bearer.kind === 'sign-in' ? project : undefined
    const key = asksAbout === undefined ? bearer.digest : `${bearer.digest} ${asksAbout}`
    const caller = callers.get(key) ?? createCaller(key, bearer, asksAbout)
    byConnection.set(connection, { authorization, caller })
    return caller
  }

  /** Once, however many wait for it. Nothing is concluded from an answer that does not come. */
  function ask(caller: Caller): Promise<void> {
    if (caller.asking !== undefined) return caller.asking
    if (asking >= MAX_ASKING) return Promise.resolve()
    if (!callers.has(caller.key)) makeRoom()
    callers.set(caller.key, caller)
    asking++
    caller.asking = askNow(caller)
      .catch((thrown: unknown) => deps.log.error({ err: thrown }, 'a caller could not be asked about'))
      .finally(() => {
        asking--
        caller.asking = undefined
        if (caller.standing === undefined) drop(caller)
      })
    return caller.asking
  }

  async function askNow(caller: Caller): Promise<void> {
    const asked = momentOf(clock)
    const answer = await control.introspect(caller.bearer, caller.asksAbout)
    deps.heard(answer.ok ? undefined : answer.error)
    if (!answer.ok) return
    take(caller, answer.value, asked)
    await configure(caller, answer.value)
    if (caller.access !== undefined && caller.standing === 'good') watches.tend(caller)
  }

  /** From its watch. */
  function heardOf(caller: Caller, standing: Standing): void {
    take(caller, standing, momentOf(clock))
    configure(caller, standing).catch((thrown: unknown) =>
      deps.log.error({ err: thrown }, 'a project could not be read anew'),
    )
  }

  /** What was asked for before something newer was heard is old news, unless it is bad news. */
  function take(caller: Caller, standing: Standing, asked: Moment): void {
    if (standing.active && asked.tick < caller.asked.tick) return
    caller.asked = asked
    if (standing.active) return welcome(caller, standing)
    caller.standing = 'bad'
    watches.end(caller)
    lapse(caller)
  }

  function welcome(caller: Caller, { who, access, expiresInMs }: ActiveStanding): void {
    caller.standing = 'good'
    caller.lapsed = false
    caller.endsTick = expiresInMs === undefined ? Infinity : caller.asked.tick + expiresInMs
    caller.principal ??= principalOf(who, caller.bearer.digest)
    caller.project = who.kind === 'token' ? who.project : (caller.asksAbout ?? '')
    byPlace.set(placeOf(caller), caller)
    const mayUse = access?.project === caller.project ? compileAccess(access.scopes) : undefined
    // The same object as long as it is the same: caches of what they see hang on it.
    if (mayUse?.key !== caller.access?.key) caller.access = mayUse
    if (mayUse === undefined) show(caller, undefined)
  }

  async function configure(caller: Caller, standing: Standing): Promise<void> {
    if (!standing.active || caller.access === undefined) return
    if (caller.views !== undefined && caller.revision === standing.revision) return
    const project = await control.project(caller.bearer, caller.project)
    deps.heard(project.ok ? undefined : project.error)
    if (!project.ok || caller.standing !== 'good') return
    caller.revision = standing.revision
    if (project.value === 'refused') caller.access = undefined
    show(caller, project.value === 'refused' ? undefined : project.value)
  }

  function show(caller: Caller, project: Parameters<typeof views.set>[1]): void {
    if (project === undefined && caller.views === undefined) return
    views.set(caller, project)
    deps.changed(caller.project)
  }

  function lapse(caller: Caller): void {
    if (caller.lapsed) return
    caller.lapsed = true
    deps.lapsed()
  }

  function tend(caller: Caller): void {
    const tick = clock.tickMs()
    const idleMs = tick - caller.usedTick
    if (idleMs > (caller.watch === undefined ? UNWATCHED_IDLE_MS : WATCHED_IDLE_MS)) watches.end(caller)
    else if (caller.standing === 'good' && caller.access !== undefined) {
      watches.tend(caller)
      // What they have open goes on for as long as they are known.
      if (isHalfOver(caller, times, tick) && holdsUntil(caller, times) - tick < ASK_EARLY_MS) void ask(caller)
    }
    if (holdsNow(caller)) return
    lapse(caller)
    if (caller.asking === undefined && (caller.standing !== 'good' || idleMs > UNWATCHED_IDLE_MS))
      drop(caller)
  }

  function drop(caller: Caller): void {
    watches.end(caller)
    callers.delete(caller.key)
    if (byPlace.get(placeOf(caller)) === caller) byPlace.delete(placeOf(caller))
    caller.standing = undefined
    show(caller, undefined)
  }

  function makeRoom(): void {
    if (callers.size < MAX_CALLERS) return
    let least: Caller | undefined
    for (const caller of callers.values()) {
      if (caller.asking !== undefined) continue
      if (least === undefined || worthOf(caller) < worthOf(least)) least = caller
    }
    if (least !== undefined) drop(least)
  }

  const byGrant = (grant: string): Caller | undefined => byPlace.get(grant.slice(GRANT.length))

  return {
    prepare(authorization, about) {
      if (authorization === undefined) return undefined
      const caller = callerOf(authorization, about)
      if (caller === undefined) return undefined
      caller.usedTick = clock.tickMs()
      if (!isKnown(caller)) return ask(caller)
      if (isHalfOver(caller, times, caller.usedTick)) void ask(caller)
      return undefined
    },
    authenticate(authorization, connection) {
      const found = connection === undefined ? undefined : byConnection.get(connection)
      if (found === undefined || found.authorization !== authorization)
        return bearerIn(authorization) === undefined ? withoutCredential(authorization) : UNAVAILABLE
      const { caller } = found
      if (!isKnown(caller)) return UNAVAILABLE
      return caller.standing === 'good' && caller.principal !== undefined ? ok(caller.principal) : UNKNOWN
    },
    access: (principal, project) => byPlace.get(`${principal.key} ${project}`)?.access,
    accessOf(principal, project) {
      const caller = byPlace.get(`${principal} ${project}`)
      return caller?.standing === 'good' && holdsNow(caller) ? caller.access : undefined
    },
    view(project, principal, era = 'modern') {
      if (principal !== undefined) return byPlace.get(`${principal} ${project}`)?.views?.[era]
      for (const caller of byPlace.values())
        if (caller.project === project && caller.views !== undefined) return caller.views[era]
      return undefined
    },
    *views() {
      for (const caller of byPlace.values()) if (caller.views !== undefined) yield caller.views.modern
    },
    server: (uid) => views.server(uid),
    secret(grant) {
      const caller = byGrant(grant)
      return caller?.standing === 'good' && holdsNow(caller) ? caller.bearer.secret : undefined
    },
    doubt(grant) {
      const caller = byGrant(grant)
      if (caller !== undefined) caller.asked = NEVER
    },
    get size() {
      return callers.size
    },
    get watched() {
      return watches.size
    },
    close() {
      clearInterval(timer)
      for (const caller of callers.values()) watches.end(caller)
    },
  }
}
