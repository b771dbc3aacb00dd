import type * as oauth from 'oauth4webapi'
import { err, ok, type Result } from '../../lib/result.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import type { Tokens } from './authorization-server.ts'
import { readScopes } from './challenge.ts'
import { Unreachable } from './guarded-fetch.ts'

/** What a token endpoint has given, after it was looked at. */
export interface Issued {
  readonly tokens: Tokens
  /** Undefined: as they were asked for (RFC 6749, 5.1). */
  readonly scopes: readonly string[] | undefined
  /** Only of a sign-in: who signed in, as its provider says. */
  readonly idToken?: IdToken | undefined
}

/** An id_token (OpenID Connect Core 1.0, section 2) whose claims and signature are good. */
export interface IdToken {
  readonly value: SecretValue
  readonly expiresAtMs: number
}

export interface TokenFailure {
  /** One public sentence; of what the authorization server wrote, at most one of the codes that are known here. */
  readonly message: string
  /** It was refused for good (`invalid_grant` and the like): trying again would not help. */
  readonly final: boolean
  /** The `error` of the answer, where it is one that is known here. */
  readonly code: string | undefined
  /** It could not be reached at all. */
  readonly isAway?: boolean
}

/** Ten years: more is a mistake, or means that it does not end. */
const MAX_LIFE_SECONDS = 315_360_000
/** Servers take about as much in all headers of a request together. */
const MAX_TOKEN_LENGTH = 16 * 1024

type Json = Readonly<Record<string, unknown>>

/** Everything else in an answer is nobody's business here: an `id_token` says who the user is, which is not asked. */
const READ = ['access_token', 'token_type', 'refresh_token', 'scope', 'issued_token_type'] as const

/**
 * The answer of a token endpoint as RFC 6749, 5 has it, of one that may not keep to that: an error with the status 200
 * is an error, `null` is nothing, and a life that cannot be is none.
 */
export const readTokenAnswer = (answer: Response): Promise<Response> => readFields(answer, READ)

/** The same of a provider at which people sign in: who it is, is what was asked. */
export const readSignInAnswer = (answer: Response): Promise<Response> =>
  readFields(answer, [...READ, 'id_token'])

const readFields = (answer: Response, fields: readonly string[]): Promise<Response> =>
  readAnswer(answer, 'access_token', (body) => {
    const kept = fields.flatMap((name) => (body[name] === null ? [] : [[name, body[name]] as const]))
    const life = lifeOf(body['expires_in'])
    return Object.fromEntries(life === undefined ? kept : [...kept, ['expires_in', life] as const])
  })

/**
 * @param essential the field without which an answer that names an error is that error
 * @param pick what the library sees of the answer
 */
export async function readAnswer(
  answer: Response,
  essential: string,
  pick: (body: Json) => Json,
): Promise<Response> {
  const { status } = answer
  // It is away, or wants to be left alone for a while: what it says then says nothing about the grant.
  if (status >= 500 || status === 429) return new Response(null, { status })
  const body = parseObject(await answer.text())
  if (body === undefined) return Response.json({}, { status })
  const error = body['error']
  const refuses = typeof error === 'string' && error !== '' && typeof body[essential] !== 'string'
  if (refuses) return Response.json({ error }, { status: status >= 400 ? status : 400 })
  return Response.json(pick(body), { status })
}

/** Seconds; undefined: it does not say, and the token is good until it is refused. */
function lifeOf(value: unknown): number | undefined {
  const life = typeof value === 'string' && /^\d{1,12}$/.test(value) ? Number(value) : value
  return typeof life === 'number' && life >= 1 && life <= MAX_LIFE_SECONDS ? Math.floor(life) : undefined
}

/** @returns undefined for what is no JSON object: mostly a page for people */
export function parseObject(text: string): Json | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
      ? (parsed as Json)
      : undefined
  } catch {
    // The caller says that it cannot be used; what it is stays unknown.
    return undefined
  }
}

/** A token is put into headers: visible ASCII, without spaces (RFC 6749, A.12; RFC 6750, 2.1), and not endless. */
const isToken = (text: string): boolean => text.length <= MAX_TOKEN_LENGTH && /^[\x21-\x7e]+$/.test(text)

/** @throws what the library and the fetcher throw and is no answer of an authorization server: bugs */
export async function issuedFrom(
  nowMs: () => number,
  request: () => Promise<oauth.TokenEndpointResponse>,
): Promise<Result<Issued, TokenFailure>> {
  try {
    const { access_token, refresh_token, token_type, expires_in, scope } = await request()
    if (token_type !== 'bearer') return unusable('its token is of a kind that is not Bearer')
    if (!isToken(access_token) || (refresh_token !== undefined && !isToken(refresh_token)))
      return unusable('its token is too long, or has characters that no token has')
    const obtainedAtMs = nowMs()
    return ok({
      tokens: {
        access: new SecretValue(access_token),
        refresh: refresh_token === undefined ? undefined : new SecretValue(refresh_token),
        expiresAtMs: expires_in === undefined ? undefined : obtainedAtMs + expires_in * 1000,
        obtainedAtMs,
      },
      // They are shown to people: what repeats a token is no scope.
      scopes:
        scope === undefined ? undefined : readScopes(scope).filter(without(access_token, refresh_token)),
    })
  } catch (thrown) {
    return err(failureOf(thrown))
  }
}

const MIN_TOKEN_LENGTH = 12
const without =
  (...tokens: readonly (string | undefined)[]) =>
  (scope: string): boolean =>
    !tokens.some((token) => token !== undefined && token.length >= MIN_TOKEN_LENGTH && scope.includes(token))

/** Nothing is known of the grant then: the next try may go well. */
export const unusable = (why: string): { readonly ok: false; readonly error: TokenFailure } =>
  err({
    message: `the answer of the token endpoint cannot be used: ${why}; try again, or ask whoever runs the authorization server`,
    final: false,
    code: undefined,
  })

/** Codes of RFC 6749, 5.2, RFC 8628, 3.5 and RFC 8707, 2; anything else that is written there is not repeated. */
const KNOWN = new Set(
  'invalid_request invalid_client invalid_grant unauthorized_client unsupported_grant_type invalid_scope invalid_target authorization_pending slow_down access_denied expired_token temporarily_unavailable server_error'.split(
    ' ',
  ),
)
const PASSES = new Set(['temporarily_unavailable', 'server_error', 'slow_down', 'authorization_pending'])

/** @throws what it is given, when that is a bug */
export function failureOf(thrown: unknown): TokenFailure {
  if (thrown instanceof Unreachable)
    return {
      message: `the authorization server was asked for a token: ${thrown.message}`,
      final: false,
      code: undefined,
      isAway: true,
    }
  const { error, code, name } = thrown as { error?: unknown; code?: unknown; name?: unknown }
  if (typeof error === 'string') {
    const known = KNOWN.has(error) ? error : undefined
    return {
      message: `the authorization server refused to give a token${known === undefined ? '' : ` (${known})`}`,
      final: !PASSES.has(error),
      code: known,
    }
  }
  const isAnswer =
    name === 'UnsupportedOperationError' || (typeof code === 'string' && code.startsWith('OAUTH_'))
  if (!isAnswer) throw thrown
  return unusable('it holds no token of the kind that was asked for').error
}
