import { hash, randomBytes } from 'node:crypto'
import { expect } from 'vitest'
import type { Daemon } from '../fixtures/daemon.ts'
import { signInAtProvider, type OidcProvider } from '../fixtures/oidc-provider.ts'

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly body: Readonly<Record<string, unknown>>
}

/** Asks the API as whoever has this credential, or as nobody. */
export async function ask(
  origin: string,
  [method, path]: readonly [string, string],
  body?: unknown,
  credential?: string,
): Promise<Reply> {
  const response = await fetch(new URL(path, origin), {
    method,
    headers: {
      'content-type': 'application/json',
      'user-agent': 'castellan/test',
      ...(credential === undefined ? {} : { authorization: `Bearer ${credential}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text.startsWith('{') ? (JSON.parse(text) as Reply['body']) : { text },
  }
}

export const login = (origin: string, user: string, password: string): Promise<Reply> =>
  ask(origin, ['POST', '/api/v1/auth/login'], { user, password })

export interface StartedSignIn {
  readonly attempt: string
  readonly verifier: string
  readonly url: string
}

export async function startSignIn(
  origin: string,
  provider: string,
  loopbackPort?: number,
): Promise<StartedSignIn> {
  const verifier = randomBytes(32).toString('base64url')
  const challenge = hash('sha256', verifier, 'base64url')
  const { status, body } = await ask(origin, ['POST', '/api/v1/auth/oidc/start'], {
    provider,
    challenge,
    loopbackPort,
  })
  expect({ status, body }).toMatchObject({ status: 200 })
  return { verifier, attempt: String(body['attempt']), url: String(body['url']) }
}

/** What the browser gets that comes back: a page or a redirect. */
export async function bringBack(
  to: URL,
): Promise<{ status: number; text: string; location: URL | undefined }> {
  const response = await fetch(to, { redirect: 'manual' })
  const location = response.headers.get('location')
  return {
    status: response.status,
    text: await response.text(),
    location: location === null ? undefined : new URL(location),
  }
}

/** The code on the page. */
export const codeIn = (text: string): string => /^ {2}([\w-]{43})$/m.exec(text)?.[1] ?? ''

export const finishSignIn = (
  origin: string,
  { attempt, verifier }: Pick<StartedSignIn, 'attempt' | 'verifier'>,
  code: string,
): Promise<Reply> => ask(origin, ['POST', '/api/v1/auth/oidc/finish'], { attempt, verifier, code })

/** The whole way of somebody at a browser, with the code carried by hand. */
export async function signInBy(origin: string, provider: string, subject: string): Promise<Reply> {
  const started = await startSignIn(origin, provider)
  const page = await bringBack(await signInAtProvider(started.url, subject))
  expect(page).toMatchObject({ status: 200 })
  return finishSignIn(origin, started, codeIn(page.text))
}

/** Makes the provider known to the daemon, and the daemon to the provider. */
export async function connectProvider(
  daemon: Pick<Daemon, 'apply' | 'origin'>,
  provider: OidcProvider,
  spec: Readonly<Record<string, unknown>> = {},
  name = 'corp',
): Promise<void> {
  provider.allowRedirect(`${daemon.origin}/oauth/sign-in/callback`)
  await daemon.apply([
    {
      kind: 'IdentityProvider',
      metadata: { name },
      spec: Object.assign({ issuer: provider.issuer, clientId: provider.clientId }, spec),
    },
  ])
}
