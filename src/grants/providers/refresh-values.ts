import { SecretValue } from '../../lib/secret-value.ts'
import type { GrantValues, Refresh } from './define-provider.ts'

/** Sends one request, as a test of a grant does, and gives the answer. */
export interface RefreshSender {
  send(
    url: string,
    init: {
      readonly method: string
      readonly headers: Readonly<Record<string, string>>
      readonly body?: string | undefined
    },
    timeoutMs: number,
  ): Promise<Pick<Response, 'status' | 'text'>>
}

/** What came of a refresh. */
export type Refreshed =
  | {
      readonly outcome: 'renewed'
      readonly values: GrantValues
      /** Undefined: the answer does not say. */
      readonly expiresInSeconds: number | undefined
    }
  /** It has to be given again. */
  | { readonly outcome: 'refused' }
  /** It can be tried again; the old one stands. */
  | { readonly outcome: 'failed' }

const TIMEOUT_MS = 30_000
/** A year: whoever says more means that it does not end. */
const MAX_LIFE_SECONDS = 366 * 24 * 60 * 60

export const canRefresh = (refresh: Refresh, values: GrantValues): boolean =>
  refresh.needs.every((field) => valueOf(values, field) !== undefined)

/**
 * A new access token for a login that was given by hand. A refresh token that comes with it replaces the old one, and
 * has to be durable before the access token is used; its absence means that the old one stays (RFC 6749 §6).
 *
 * @param refresh whose `needs` are there
 */
export async function refreshValues(
  refresh: Refresh,
  values: GrantValues,
  sender: RefreshSender,
): Promise<Refreshed> {
  const { status, text } = await ask(refresh, values, sender)
  const answer = parse(text)
  // RFC 6749 §5.2; Meta has an object there. Everything else may pass: a limit, a fault of theirs.
  const isRefused =
    answer['error'] === 'invalid_grant' || (status === 400 && typeof answer['error'] === 'object')
  if (isRefused) return { outcome: 'refused' }
  const token = tokenIn(answer, 'access_token')
  const type = answer['token_type']
  const isBearer = type === undefined || (typeof type === 'string' && type.toLowerCase() === 'bearer')
  if (status !== 200 || token === undefined || !isBearer || answer['error'] !== undefined)
    return { outcome: 'failed' }
  const next = tokenIn(answer, 'refresh_token')
  return {
    outcome: 'renewed',
    values: {
      shown: values.shown,
      secret: { ...values.secret, token, ...(next === undefined ? {} : { refreshToken: next }) },
    },
    expiresInSeconds: lifeIn(answer),
  }
}

async function ask(
  refresh: Refresh,
  values: GrantValues,
  sender: RefreshSender,
): Promise<{ status: number; text: string }> {
  const parameters = Object.entries(refresh.parameters).flatMap(([name, template]) => {
    const field = /^\{(\w+)\}$/.exec(template)?.[1]
    const value = field === undefined ? template : valueOf(values, field)
    return value === undefined ? [] : [[name, value] as [string, string]]
  })
  const isJson = refresh.encoding === 'json'
  const init = {
    method: 'POST',
    headers: {
      accept: 'application/json',
      'content-type': isJson ? 'application/json' : 'application/x-www-form-urlencoded',
    },
    body: isJson
      ? JSON.stringify(Object.fromEntries(parameters))
      : new URLSearchParams(parameters).toString(),
  }
  try {
    const answer = await sender.send(refresh.tokenEndpoint, init, TIMEOUT_MS)
    return { status: answer.status, text: await answer.text() }
  } catch {
    return { status: 0, text: '' }
  }
}

const valueOf = ({ shown, secret }: GrantValues, field: string): string | undefined =>
  secret[field]?.reveal() ?? shown[field]

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    // HTML, or nothing.
    return {}
  }
}

/** Only what can be sent in a header is a token. */
function tokenIn(answer: Readonly<Record<string, unknown>>, name: string): SecretValue | undefined {
  const value = answer[name]
  return typeof value === 'string' && value.length <= 16 * 1024 && /^[\u0021-\u007e]+$/.test(value)
    ? new SecretValue(value)
    : undefined
}

function lifeIn(answer: Readonly<Record<string, unknown>>): number | undefined {
  const seconds = Number(answer['expires_in'] ?? Number.NaN)
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, MAX_LIFE_SECONDS) : undefined
}
