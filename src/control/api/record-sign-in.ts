import type { UserPrincipal } from '../../access/principal.ts'
import type { Result } from '../../lib/result.ts'
import type { ApiRecord, ApiRecordDeps } from './record.ts'
import type { Proven, SignInRefusal } from './sign-ins.ts'

export interface RecordSignInDeps extends Pick<ApiRecordDeps, 'recorder'> {
  readonly record: ApiRecord
}

/**
 * Signs somebody in with that on the record, as is the User that is made by it; of an attempt that came to nothing, why.
 *
 * @param source address of whoever tries
 * @throws Fault of the refusal
 */
export async function recordSignIn<T>(
  { record, recorder }: RecordSignInDeps,
  source: string,
  proven: Result<Proven, SignInRefusal>,
  signIn: (proven: Proven) => Promise<T>,
): Promise<T> {
  if (!proven.ok) {
    const { method, reason, account, fault } = proven.error
    recorder.refused(source, reason, { event: `sign-in ${method}`, account })
    throw fault
  }
  const { user, method, isFirst } = proven.value
  const by = { principal: principalOf(user) }
  const enter = (): Promise<T> =>
    record.act(by, { verb: 'sign-in', kind: method, name: user.name }, () => signIn(proven.value))
  return isFirst ? record.act(by, { verb: 'create', kind: 'users', name: user.name }, enter) : enter()
}

/** Of somebody who has just proven who they are: there is no credential yet. */
export const principalOf = ({ name, uid }: Proven['user']): UserPrincipal => ({
  kind: 'user',
  key: `user:${uid}`,
  uid,
  name,
  signIn: '',
  digest: '',
})

/** What signs in, as it calls itself: for people, so what could move a cursor is left out. */
export function agentText(userAgent: string | null | undefined): string | undefined {
  const text = (userAgent ?? '').replaceAll(/[^\x20-\x7e]/g, '').slice(0, 100)
  return text === '' ? undefined : text
}
