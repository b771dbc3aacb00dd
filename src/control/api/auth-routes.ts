import { z } from 'zod'
import { Name } from '../../kinds/define-kind.ts'
import type { User } from '../../kinds/user.ts'
import { Fault } from '../../lib/fault.ts'
import type { Result } from '../../lib/result.ts'
import type { SnapshotSource } from '../snapshot/snapshot.ts'
import type { Stored } from '../stored.ts'
import { kindFor, reachStored } from './find.ts'
import { readJson } from './read-json.ts'
import { agentText, recordSignIn } from './record-sign-in.ts'
import type { ApiRecord, ApiRecordDeps } from './record.ts'
import { json, type Call, type FixedRoute, type PublicRoute } from './route.ts'
import type { Proven, SignInRefusal, SignIns } from './sign-ins.ts'

export interface AuthRouteDeps extends Pick<ApiRecordDeps, 'recorder'> {
  readonly signIns: SignIns
  readonly snapshot: Pick<SnapshotSource, 'state'>
  readonly record: ApiRecord
}

const JSON_ANSWER = { status: 200, types: ['application/json'] } as const

/** Text that people type; the bound is far above what is taken. */
const Typed = z.string().max(4096)
const Random = z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'must be 43 characters of base64url')

const PasswordLogin = z.strictObject({ user: Typed, password: Typed })
const ProviderStart = z.strictObject({
  provider: Name,
  loopbackPort: z.int().min(1).max(65_535).optional(),
  challenge: Random,
})
const ProviderFinish = z.strictObject({ attempt: Random, code: Random, verifier: Random })
const NewPassword = z.strictObject({ password: Typed, current: Typed.optional() })

/** Signing in: whoever asks is not known yet. */
export const signInRoutes = (deps: AuthRouteDeps): readonly PublicRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/auth/providers',
    summary: 'The ways to sign in: names of identity providers, and whether anybody has a password.',
    permission: { use: 'public' },
    answer: JSON_ANSWER,
    handlePublic() {
      const { passwords, providers } = deps.signIns.ways()
      return json({ passwords, providers: providers.map((name) => ({ name })) })
    },
  },
  {
    method: 'POST',
    path: '/api/v1/auth/login',
    summary: 'Signs a user in with a password. The answer holds the credential, this once.',
    takesBody: true,
    permission: { use: 'public' },
    answer: JSON_ANSWER,
    async handlePublic(call) {
      const given = await readJson(call.request, PasswordLogin)
      return enter(deps, call, await deps.signIns.byPassword({ ...given, source: call.source }))
    },
  },
  {
    method: 'POST',
    path: '/api/v1/auth/oidc/start',
    summary: 'Begins a sign-in at an identity provider: answers with the address that the user has to open.',
    takesBody: true,
    permission: { use: 'public' },
    answer: JSON_ANSWER,
    async handlePublic({ request }) {
      const { provider, loopbackPort, challenge } = await readJson(request, ProviderStart)
      return json(await deps.signIns.startAtProvider({ provider, loopbackPort, challenge }))
    },
  },
  {
    method: 'POST',
    path: '/api/v1/auth/oidc/finish',
    summary: 'Ends it, with the code that the browser was given and the verifier of the challenge.',
    takesBody: true,
    permission: { use: 'public' },
    answer: JSON_ANSWER,
    async handlePublic(call) {
      return enter(
        deps,
        call,
        await deps.signIns.finishAtProvider(await readJson(call.request, ProviderFinish)),
      )
    },
  },
]

/** For those who are signed in. */
export const signedInRoutes = (deps: AuthRouteDeps): readonly FixedRoute[] => [
  {
    method: 'POST',
    path: '/api/v1/auth/logout',
    summary: 'Ends the sign-in whose credential is shown.',
    permission: { use: 'signed-in' },
    answer: JSON_ANSWER,
    handle: (call) => logout(deps, call),
  },
  {
    method: 'POST',
    path: '/api/v1/users/{name}/password',
    summary: "Sets a user's password and ends their sign-ins, but for the one that is used here.",
    takesBody: true,
    // One's own with the present one; that of others with the right to edit them and all rights that they have.
    permission: { use: 'signed-in' },
    answer: JSON_ANSWER,
    handle: (call) => setPassword(deps, call),
  },
]

const enter = (
  deps: AuthRouteDeps,
  { request, source }: Pick<Call, 'request' | 'source'>,
  proven: Result<Proven, SignInRefusal>,
): Promise<Response> =>
  recordSignIn(deps, source, proven, async (good) => {
    const from = agentText(request.headers.get('user-agent'))
    const { credential, ...rest } = await deps.signIns.signIn(good, from)
    // The one place where it leaves; it is kept nowhere.
    return json({ credential: credential.reveal(), ...rest })
  })

function logout({ signIns, record, snapshot }: AuthRouteDeps, call: Call): Promise<Response> | Response {
  const { principal } = call
  if (principal.kind !== 'user')
    throw new Fault('conflict', {
      hint: 'this is no sign-in: castellan delete token NAME -p PROJECT ends a token, and the administrator of the host is signed in always',
    })
  const { method } = (snapshot.state().byUid.get(principal.signIn)?.resource.spec ?? {}) as {
    method?: string
  }
  return record.act(call, { verb: 'sign-out', kind: method ?? 'unknown', name: principal.name }, async () => {
    await signIns.signOut(principal.signIn)
    return json({ action: 'signed-out', user: principal.name })
  })
}

async function setPassword(deps: AuthRouteDeps, call: Call): Promise<Response> {
  const { password, current } = await readJson(call.request, NewPassword)
  const { user, isOwn } = whose(deps, call)
  const { name } = user.resource.metadata
  if (isOwn && current === undefined)
    throw new Fault('invalid', { problems: ['current: is required to change your own password'] })
  if (!isOwn && current !== undefined)
    throw new Fault('invalid', { problems: ['current: is for your own password, where you have one'] })
  return deps.record.act(call, { verb: 'edit', kind: 'passwords', name }, async () => {
    await deps.signIns.setPassword({
      user,
      password,
      current: current === undefined ? undefined : { password: current, source: call.source },
      keep: call.principal.kind === 'user' ? call.principal.signIn : undefined,
    })
    return json({ kind: 'User', name, action: 'configured' })
  })
}

/**
 * The user whose password it is. Of their own, people show the present one; where there is none, as of others, it takes
 * the right to edit them, and all rights that they have: whoever sets a password can sign in with it.
 *
 * @throws Fault `not_found`, `forbidden`
 */
function whose(
  { snapshot, record }: AuthRouteDeps,
  { principal, access, params }: Call,
): { readonly user: Stored; readonly isOwn: boolean } {
  const wanted = params['name'] ?? ''
  const isMe = principal.kind === 'user' && (wanted === principal.name || wanted === principal.uid)
  const me = isMe ? snapshot.state().byUid.get(principal.uid) : undefined
  if (me !== undefined && (me.resource as User).status.password) return { user: me, isOwn: true }
  const user = reachStored({ state: snapshot.state(), access }, 'edit', {
    definition: kindFor('users'),
    name: wanted,
    project: undefined,
  })
  const { name } = user.resource.metadata
  if (access.coversSubject({ kind: 'User', name })) return { user, isOwn: false }
  record.denied(principal, { verb: 'edit', kind: 'users', name }, 'no-right')
  throw new Fault('forbidden', {
    problems: ['the user has rights that you do not hold yourself'],
    hint: 'ask an administrator; nothing was changed',
  })
}
