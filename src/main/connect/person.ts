import type { IncomingMessage } from 'node:http'
import { activeUserOf } from '../active-principal.ts'
import type { LocalAdmin, UserPrincipal } from '../../access/principal.ts'
import type { SnapshotSource } from '../../control/snapshot/snapshot.ts'
import { isLoopback } from '../../lib/loopback.ts'
import type { Clock } from '../../lib/clock.ts'
import { SIGNED_IN_MS, type Visitor } from './visitor.ts'

export type Person = UserPrincipal | LocalAdmin

/** Who is at a browser, as far as one page is concerned. */
export type Standing =
  | { readonly is: 'right'; readonly person: Person }
  /** Somebody is signed in, and the page is not theirs. */
  | { readonly is: 'other'; readonly person: UserPrincipal }
  | { readonly is: 'nobody' }
  /** The page is for whoever is on the host, and this browser is not there. */
  | { readonly is: 'away' }

export interface PersonDeps {
  readonly snapshot: Pick<SnapshotSource, 'state' | 'credentials' | 'catchUp'>
  readonly clock: Clock
}

const LOCAL_ADMIN: LocalAdmin = { kind: 'local-admin', key: 'local-admin', name: 'local-admin' }

/** @param holder whose page it is */
export async function standingOf(
  deps: PersonDeps,
  holder: string,
  request: IncomingMessage,
  visitor: Visitor | undefined,
): Promise<Standing> {
  if (holder === 'local-admin')
    return isOnHost(request) ? { is: 'right', person: LOCAL_ADMIN } : { is: 'away' }
  const person = await signedInAs(deps, visitor)
  if (person === undefined) return { is: 'nobody' }
  return { is: person.key === holder ? 'right' : 'other', person }
}

/** Who signed in on a page of ours, if that is still worth something. */
export async function signedInAs(
  { snapshot, clock }: PersonDeps,
  visitor: Visitor | undefined,
): Promise<UserPrincipal | undefined> {
  if (visitor?.signIn === undefined) return undefined
  // It may have been at another daemon, a moment ago.
  const isYoung = visitor.expiresMs - SIGNED_IN_MS > clock.nowMs() - SEEN_BY_ALL_MS
  if (isYoung && snapshot.credentials.byDigest(visitor.signIn) === undefined) await snapshot.catchUp()
  return activeUserOf(snapshot, visitor.signIn, clock.nowMs())
}

const SEEN_BY_ALL_MS = 5000

const FORWARDED = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip'] as const

/** Both ends are on this machine, and nothing says that a proxy on it stands for somebody elsewhere. */
function isOnHost({ socket, headers }: IncomingMessage): boolean {
  const address = socket.remoteAddress ?? ''
  const isNear = address === '::1' || /^(?:::ffff:)?127(?:\.\d{1,3}){3}$/.test(address)
  const host = URL.canParse(`http://${headers.host}`) ? new URL(`http://${headers.host}`).hostname : ''
  return isNear && isLoopback(host) && FORWARDED.every((name) => headers[name] === undefined)
}
