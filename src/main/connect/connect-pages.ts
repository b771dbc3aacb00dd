import type { IncomingMessage } from 'node:http'
import type { ApiRecord } from '../../control/api/record.ts'
import type { SignInSpec } from '../../kinds/sign-in.ts'
import { asFault } from '../../lib/fault.ts'
import type { Log } from '../../lib/log.ts'
import type { Result } from '../../lib/result.ts'
import type { Answer } from '../http-front.ts'
import type { SignInService } from '../sign-in/open-sign-in.ts'
import { connectAccount, type AccountDeps } from './connect-account.ts'
import { answering, said, statusOf } from './answering.ts'
import { createEntrance, type EntranceDeps } from './entrance.ts'
import { readForm, type Form } from './form.ts'
import { offerFor, termsOf, wayFor } from './offer.ts'
import { redirect } from './page.ts'
import { standingOf, type PersonDeps } from './person.ts'
import { CONNECT_PATH } from './connect-path.ts'
import type { Tickets } from './ticket.ts'
import * as views from './views.ts'
import type { Visit } from './visit.ts'
import type { Visitor } from './visitor.ts'

export interface ConnectPagesDeps extends AccountDeps, EntranceDeps, PersonDeps {
  readonly tickets: Tickets
  readonly signIns: EntranceDeps['signIns'] & Pick<SignInService, 'ways'>
  readonly snapshot: AccountDeps['snapshot'] & PersonDeps['snapshot']
  readonly record: ApiRecord
  readonly log: Log
}

/** Where people connect accounts of their own, each by a link that was made for them. */
export interface ConnectPages {
  /** Everything below `/connect/`. Never rejects. */
  handle(request: IncomingMessage): Promise<Answer>
  /** Somebody who has gone from such a page to an identity provider comes back. Never rejects. */
  returned(request: IncomingMessage, back: ReturnedSignIn): Promise<Answer>
}

export interface ReturnedSignIn {
  /** The ticket of the page. */
  readonly page: string
  readonly attempt: string
  readonly code: Result<string, string>
}

const ADDRESS = /^\/connect\/(cco1\.[\w-]{1,1000})(?:\?(again)?)?$/

export function createConnectPages(deps: ConnectPagesDeps): ConnectPages {
  const { tickets, visitors, signIns, record, log } = deps
  const entrance = createEntrance(deps)

  async function visitOf(request: IncomingMessage, page: string): Promise<Visit | Answer> {
    const ticket = tickets.open(page)
    if (ticket === undefined) return views.brokenLink()
    if (ticket === 'old') return views.oldLink()
    const known = visitors.of(request)
    const visitor = known ?? visitors.begin()
    const standing = await standingOf(deps, ticket.holder, request, known)
    return {
      request,
      page,
      at: `${CONNECT_PATH}${page}`,
      ticket,
      visitor,
      isNew: known === undefined,
      standing,
    }
  }

  async function show(visit: Visit, { again, problems, status }: Shown): Promise<Answer> {
    const { ticket, visitor, standing, page } = visit
    const mark = visitors.seal(visitor, page)
    if (standing.is === 'away') return views.awayPage()
    if (standing.is === 'nobody') return views.signInPage(mark, { ways: signIns.ways(), problems, status })
    if (standing.is === 'other') return views.somebodyElse(mark)
    const { person } = standing
    const offer = await offerFor(deps, ticket)
    if (offer === undefined) return views.goneServer()
    if (offer.isConnected && !again) return views.connectedPage(offer, person.name)
    const way = await wayFor(deps, offer)
    const about = way.kind === 'authorize' ? `${offer.id} ${termsOf(way)}` : offer.id
    return views.consentPage({
      mark: visitors.seal(visitor, page, about),
      offer,
      way,
      account: person.name,
      canLeave: person.kind === 'user',
      problems,
      status,
    })
  }

  async function act(visit: Visit, again: boolean): Promise<Answer> {
    const form = await readForm(visit.request)
    const about = visit.isNew ? undefined : visitors.opened(form.get('mark') ?? '', visit.visitor, visit.page)
    if (about === undefined) return views.stalePage(visit.at)
    try {
      return await actions(visit, form, about)
    } catch (thrown) {
      const fault = asFault(thrown)
      if (fault.code === 'internal') throw thrown
      return show(visit, { again, problems: said(fault), status: statusOf(fault) })
    }
  }

  async function actions(visit: Visit, form: Form, about: string): Promise<Answer> {
    const { ticket, request, visitor, page, at, standing } = visit
    switch (form.get('do')) {
      case 'password':
        return entered(visit, await entrance.byPassword(ticket, request, form))
      case 'provider':
        return views.leadOn(await entrance.startAtProvider(form.get('provider') ?? '', visitor, page))
      case 'sign-out':
        return signOut(visit)
      case 'connect':
        // Whoever is not signed in any more is shown where to.
        return standing.is === 'right'
          ? connectAccount(deps, { visit, person: standing.person, form, about })
          : redirect(at)
      default:
        return views.stalePage(at)
    }
  }

  /** @param visitor undefined: somebody has signed in whom the page is not for */
  const entered = ({ at, page, visitor: before }: Visit, visitor: Visitor | undefined): Answer =>
    visitor === undefined
      ? views.notYours(visitors.seal(before, page), signIns.ways())
      : redirect(at, { 'set-cookie': visitors.cookie(visitor) })

  /** The address that the browser is at by then is no page of ours to show a form on. */
  async function comeIn({ at }: Visit, finish: () => Promise<Visitor | undefined>): Promise<Answer> {
    try {
      const now = await finish()
      return now === undefined
        ? views.failed('This link is for somebody else', [FOR_ANOTHER], { at, status: 403 })
        : redirect(at, { 'set-cookie': visitors.cookie(now) })
    } catch (thrown) {
      const fault = asFault(thrown)
      if (fault.code === 'internal') throw thrown
      return views.failed('You are not signed in', said(fault), { at, status: statusOf(fault) })
    }
  }

  async function signOut({ standing, at }: Visit): Promise<Answer> {
    if ('person' in standing && standing.person.kind === 'user') {
      const { person } = standing
      const signIn = deps.snapshot.state().byUid.get(person.signIn)?.resource.spec as SignInSpec | undefined
      const out = { verb: 'sign-out', kind: signIn?.method ?? 'unknown', name: person.name } as const
      await record.act({ principal: person }, out, () => signIns.signOut(person.signIn))
    }
    return redirect(at, { 'set-cookie': visitors.cookie(visitors.begin()) })
  }

  return {
    handle: (request) =>
      answering(log, async () => {
        const [, page, again] = ADDRESS.exec(request.url ?? '') ?? []
        if (page === undefined) return views.brokenLink()
        if (!METHODS.has(request.method ?? '')) return views.wrongMethod()
        const visit = await visitOf(request, page)
        if ('body' in visit) return visit
        if (request.method === 'POST') return act(visit, again !== undefined)
        const answer = await show(visit, { again: again !== undefined, problems: [], status: 200 })
        return visit.isNew ? withCookie(answer, visitors.cookie(visit.visitor)) : answer
      }),
    returned: (request, { page, attempt, code }) =>
      answering(log, async () => {
        const visit = await visitOf(request, page)
        if ('body' in visit) return visit
        if (!code.ok)
          return views.failed('You are not signed in', [code.error], { at: visit.at, status: 400 })
        const visitor = visit.isNew ? undefined : visit.visitor
        const back = { attempt, code: code.value, visitor }
        return comeIn(visit, () => entrance.finishAtProvider(visit.ticket, request, back))
      }),
  }
}

interface Shown {
  /** Also where an account is connected already. */
  readonly again: boolean
  readonly problems: readonly string[]
  readonly status: number
}

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST'])
const FOR_ANOTHER = 'it was made for another person than the one who has just signed in'

const withCookie = (answer: Answer, cookie: string): Answer =>
  Object.assign({}, answer, { headers: Object.assign({ 'set-cookie': cookie }, answer.headers) })
