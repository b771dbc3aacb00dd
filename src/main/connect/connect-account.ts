import { grantAct } from '../../control/api/grants/whose-grant.ts'
import type { ApiRecord } from '../../control/api/record.ts'
import { readGrantId } from '../../grants/grant-id.ts'
import type { Grants } from '../../grants/grants.ts'
import type { Provider } from '../../grants/providers/define-provider.ts'
import { readValues } from '../../grants/providers/values.ts'
import { Fault } from '../../lib/fault.ts'
import type { Answer } from '../http-front.ts'
import type { Form } from './form.ts'
import { asked, givable, offerFor, termsOf, type Offer, type OfferDeps } from './offer.ts'
import { redirect } from './page.ts'
import type { Person } from './person.ts'
import { leadOn } from './views.ts'
import type { Visit } from './visit.ts'

export interface AccountDeps extends OfferDeps {
  readonly grants: OfferDeps['grants'] & Pick<Grants, 'start' | 'give'>
  readonly record: ApiRecord
}

/** Somebody has agreed. */
export interface Agreed {
  readonly visit: Visit
  readonly person: Person
  readonly form: Form
  /** What the page had shown them. */
  readonly about: string
}

/**
 * Connects an account, or begins to: the same as a grant that is given by command.
 *
 * @throws Fault `changed_meanwhile` when it is not what was agreed to any more; `invalid`, and what `Grants` throws
 */
export async function connectAccount(deps: AccountDeps, agreed: Agreed): Promise<Answer> {
  const { visit, person, about } = agreed
  const [id, terms] = about.split(' ', 2)
  const offer = await offerFor(deps, visit.ticket)
  if (offer === undefined || offer.id !== id) throw changed()
  const { name } = offer.key
  const act = grantAct(deps.snapshot.state(), 'create', offer.key)
  return deps.record.act({ principal: person }, act, () =>
    readGrantId(name).provider === 'oauth'
      ? authorize(deps, offer, terms, agreed)
      : give(deps, offer, agreed),
  )
}

/** The state of the authorization exists from here on: after somebody has agreed, and not before. */
async function authorize(
  { grants }: AccountDeps,
  offer: Offer,
  terms: string | undefined,
  { person, visit }: Agreed,
): Promise<Answer> {
  const page = { at: visit.at, browser: visit.visitor.id }
  const started = await grants.start(Object.assign(asked(offer), { startedBy: person.key, page }))
  if (termsOf(started) !== terms || started.authorizeUrl === undefined) throw changed()
  return leadOn(started.authorizeUrl)
}

async function give(
  { grants, providers }: AccountDeps,
  offer: Offer,
  { form, visit }: Agreed,
): Promise<Answer> {
  const { key, server, origin } = offer
  const provider = await givable({ providers }, offer)
  const values = readValues(provider, given(form))
  if (!values.ok)
    throw new Fault('invalid', { problems: values.error.map((problem) => forPeople(problem, provider)) })
  await grants.give({
    key,
    server,
    origins: [origin],
    values: values.value.secret,
    settings: values.value.shown,
    expiresAtMs: undefined,
    source: 'browser',
  })
  return redirect(visit.at)
}

/** Fields by what people are asked for, and not by what they are called. */
function forPeople(problem: string, { fields }: Provider): string {
  const field = fields.find(({ name }) => problem.startsWith(`${name}: `))
  return field === undefined ? problem : `${field.prompt}: ${problem.slice(field.name.length + 2)}`
}

/** A field that was left empty was not given. */
const given = (form: Form): Record<string, string> =>
  Object.fromEntries(
    [...form].flatMap(([name, value]) =>
      name.startsWith('value.') && value !== '' ? [[name.slice('value.'.length), value]] : [],
    ),
  )

const changed = (): Fault =>
  new Fault('changed_meanwhile', { hint: 'something has changed since this page was shown; look again' })
