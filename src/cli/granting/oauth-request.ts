import { callApi, jsonBody } from '../api.ts'
import { printLines, type CliContext } from '../context.ts'
import { warnIfNotEncrypted } from '../not-encrypted.ts'
import { alignColumns } from '../table.ts'
import type { Target } from '../target.ts'
import { authorize, showAddress, type Started } from './authorize.ts'
import { plain } from './plain.ts'
import { authSnippet } from './server-auth.ts'

/** Body of `POST /api/v1/grants`. */
export interface OAuthRequest {
  readonly name: string
  readonly server?: string | undefined
  readonly url?: string | undefined
  readonly clientId?: string | undefined
  readonly clientSecret?: string | undefined
  readonly clientMetadataUrl?: string | undefined
  readonly issuer?: string | undefined
  readonly authUrl?: string | undefined
  readonly tokenUrl?: string | undefined
  readonly deviceUrl?: string | undefined
  readonly revocationUrl?: string | undefined
  readonly tokenAuthMethod?: string | undefined
  readonly scopes?: readonly string[] | undefined
  readonly profile?: string | undefined
  readonly for?: string | undefined
  readonly device?: true | undefined
  readonly allowWithoutPkceAdvertised?: true | undefined
  readonly exchange?:
    | { readonly subject: string | undefined; readonly audience: string | undefined }
    | undefined
}

/**
 * Begins an authorization, says what it is made of, and waits until it is done.
 *
 * @throws CliFailure when it cannot begin, or is not authorized
 */
export async function giveOAuthGrant(
  request: OAuthRequest,
  given: {
    readonly context: CliContext
    readonly target: Target
    readonly noBrowser: boolean
    readonly detach: boolean
  },
): Promise<void> {
  const { context, target, detach } = given
  if (request.clientSecret !== undefined) warnIfNotEncrypted(target, context)
  const answer = await callApi(target, ['grants'], { method: 'POST', body: jsonBody(request) })
  const started = JSON.parse(answer) as Started
  printLines(context.stderr, headOf(started))
  const { exchange } = request
  if (exchange !== undefined)
    printLines(context.stderr, [`${started.name} prepared: sign-ins of callers are exchanged with it`])
  else if (detach) showAddress(started, context)
  else {
    await authorize(started, given)
    printLines(context.stderr, [`${started.name} authorized`])
  }
  if (!started.usedByServer && request.server !== undefined)
    printLines(context.stderr, [
      `server/${request.server} does not use it; write into its manifest:`,
      ...authSnippet(started.name, {
        profile: request.profile,
        whose: exchange === undefined ? undefined : 'caller',
      }),
    ])
}

function headOf({ issuer, scopes, redirectUri, device, from = {} }: Started): string[] {
  const asked = scopes.length === 0 ? 'as the authorization server decides' : scopes.join(' ')
  const sources = OTHERS.map(([field, label]) => [label, from[field]] as const)
  const isDiscovered = sources.some(([, source]) => source === 'discovery')
  const rows: readonly (readonly [string, string | undefined, string | undefined])[] = [
    ['authorization server', issuer, from['issuer']],
    ['scopes', asked, from['scopes']],
    ['redirect address', device === undefined ? redirectUri : undefined, undefined],
    ...sources.flatMap(([label, source]) =>
      source === 'discovery' ? [] : [[label, source, undefined] as const],
    ),
    ['endpoints', isDiscovered ? 'discovery' : undefined, undefined],
  ]
  return alignColumns(
    rows.flatMap(([label, value, source]) =>
      value === undefined ? [] : [[label, plain(source === undefined ? value : `${value}  (${source})`)]],
    ),
  )
}

/** Of these it is only said where they came from: endpoints that were discovered, as one. */
const OTHERS = [
  ['authUrl', 'authorization endpoint'],
  ['tokenUrl', 'token endpoint'],
  ['deviceUrl', 'device endpoint'],
  ['revocationUrl', 'revocation endpoint'],
  ['clientId', 'client id'],
  ['clientSecret', 'client secret'],
  ['tokenAuthMethod', 'client authentication'],
] as const
