import { hash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import {
  agentText,
  principalOf,
  recordSignIn,
  type RecordSignInDeps,
} from '../../control/api/record-sign-in.ts'
import type { Proven, SignInRefusal } from '../../control/api/sign-ins.ts'
import { Fault } from '../../lib/fault.ts'
import type { Result } from '../../lib/result.ts'
import type { SignInService } from '../sign-in/open-sign-in.ts'
import type { Form } from './form.ts'
import type { ConnectTicket } from './ticket.ts'
import { SIGNED_IN_MS, type Visitor, type Visitors } from './visitor.ts'

export interface EntranceDeps extends RecordSignInDeps {
  readonly signIns: Pick<
    SignInService,
    'byPassword' | 'startAtProvider' | 'finishAtProvider' | 'signInOnPage' | 'signOut'
  >
  readonly visitors: Visitors
}

/** What comes back from an identity provider to a page of ours. */
export interface BroughtBack {
  readonly attempt: string
  readonly code: string
}

/** How the person that a page is for signs in on it. */
export interface Entrance {
  /** @returns who they are from here on; undefined: somebody else @throws Fault `sign_in_refused`, `too_many` */
  byPassword(ticket: ConnectTicket, request: IncomingMessage, form: Form): Promise<Visitor | undefined>
  /** @returns where their browser has to go @throws Fault `not_found`, `unavailable` */
  startAtProvider(provider: string, visitor: Visitor, page: string): Promise<string>
  /** The same as `byPassword`. Only the browser that went there can come back. */
  finishAtProvider(
    ticket: ConnectTicket,
    request: IncomingMessage,
    back: BroughtBack & { readonly visitor: Visitor | undefined },
  ): Promise<Visitor | undefined>
}

export function createEntrance(deps: EntranceDeps): Entrance {
  const { signIns, visitors, record } = deps

  async function enter(
    { holder, server }: ConnectTicket,
    request: IncomingMessage,
    proven: Result<Proven, SignInRefusal>,
  ): Promise<Visitor | undefined> {
    const from = agentText(request.headers['user-agent'])
    // Nobody is made, or signed in, by a page that is not theirs.
    if (proven.ok && `user:${proven.value.user.uid}` !== holder) {
      const wanted = { verb: 'create', kind: 'grants' } as const
      record.denied(principalOf(proven.value.user), wanted, `the link to ${server} is for somebody else`)
      return undefined
    }
    return recordSignIn(deps, sourceOf(request), proven, async (good) =>
      visitors.signedIn((await signIns.signInOnPage(good, from, SIGNED_IN_MS)).digest),
    )
  }

  return {
    async byPassword(ticket, request, form) {
      const given = { user: form.get('user') ?? '', password: form.get('password') ?? '' }
      if (given.user.length > MAX_TYPED || given.password.length > MAX_TYPED)
        throw new Fault('invalid', { problems: ['the name or the password is too long'] })
      const source = sourceOf(request)
      return enter(ticket, request, await signIns.byPassword(Object.assign(given, { source })))
    },
    async startAtProvider(provider, { id }, page) {
      const challenge = challengeOf(id)
      const wanted = { provider, loopbackPort: undefined, challenge, page }
      return (await signIns.startAtProvider(wanted)).url
    },
    async finishAtProvider(ticket, request, { attempt, code, visitor }) {
      const verifier = visitor?.id ?? ''
      return enter(ticket, request, await signIns.finishAtProvider({ attempt, code, verifier }))
    },
  }
}

const MAX_TYPED = 4096

const sourceOf = ({ socket }: IncomingMessage): string => socket.remoteAddress ?? 'unknown'

/** What the browser holds is the verifier: nobody goes on with what another browser has begun. */
const challengeOf = (visitor: string): string => hash('sha256', visitor, 'base64url')
