import { DEFAULT_PROFILE, readGrantId } from './grant-id.ts'
import type { Grant, GrantKey, Trouble } from './grant.ts'
import { isSignIn } from './sign-in-grant.ts'
import type { GrantProblem } from './wanted.ts'

/** Somebody who can connect an account of their own. */
export const isPerson = ({ holder }: Pick<GrantKey, 'holder'>): boolean =>
  holder === 'local-admin' || holder.startsWith('user:')

/** The command that makes a grant usable. */
export function mendCommand(
  grant: GrantKey & Partial<Pick<Grant, 'oauth'>>,
  server: string | undefined,
): string {
  if (isSignIn(grant)) return 'castellan login'
  const { provider, qualifier } = readGrantId(grant.name)
  if (isPerson(grant) && server !== undefined) return `castellan grant connect ${server}`
  const profile = grant.profile === DEFAULT_PROFILE ? '' : ` --profile ${grant.profile}`
  const [holder = ''] = grant.holder.split(':', 1)
  const whose = HOLDER_FLAGS[holder] ?? ''
  const at = server === undefined ? addressOf(grant) : ` --server ${server}`
  const which = qualifier === undefined ? '' : ` ${WITH_HOST.has(provider) ? '--host ' : ''}${qualifier}`
  const known = NAMED.has(provider) ? at : ''
  return `castellan grant ${provider}${which}${known}${profile}${whose}`
}

/** Of what was authorized for an address alone. */
const addressOf = ({ oauth }: Partial<Pick<Grant, 'oauth'>>): string =>
  oauth === undefined ? '' : ` --url ${oauth.resource.identifier}`

const HOLDER_FLAGS: Readonly<Record<string, string>> = {
  project: ' --project NAME',
  'service-account': ' --service-account NAME',
}

const WITH_HOST: ReadonlySet<string> = new Set(['npm', 'ssh'])
/** Providers whose grants are given for one Server. */
const NAMED: ReadonlySet<string> = new Set(['oauth', 'mcp'])

/** What is wrong with it, to whoever would use it. */
export const problemOf = (grant: GrantKey, message: string): GrantProblem => ({
  message,
  connect: isPerson(grant),
})

export const boundElsewhere = (name: string): string =>
  `the grant ${name} is for another origin and is not sent to this one; to send it there too: castellan grant bind ${name} ORIGIN`

/** It would not help to connect it again. */
export const hopeless = (message: string): GrantProblem => ({ message, connect: false })

export const loginNeeded = (grant: Grant, why: string): Omit<Trouble, 'atMs'> => ({
  kind: 'login',
  message: `the grant ${grant.name} has to be ${grant.oauth === undefined ? 'given' : 'authorized'} again (${why}): ${mendCommand(grant, grant.server)}`,
})

export const scopeNeeded = (grant: Grant): Omit<Trouble, 'atMs'> => ({
  kind: 'scope',
  message: `the server demands more scopes of the grant ${grant.name}; to give them: ${mendCommand(grant, grant.server)}`,
})

export const scopeRefused = (grant: Grant): Omit<Trouble, 'atMs'> => ({
  kind: 'refused',
  message: `the server demands more of the grant ${grant.name} than it names, or what it has been authorized for; whoever runs the server can say why`,
})
