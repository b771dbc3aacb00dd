import { SecretValue } from '../../lib/secret-value.ts'
import type { AuthorizationServer } from '../../oauth/client/authorization-server.ts'
import type { Identified } from '../../oauth/client/sign-in.ts'
import type { Issued } from '../../oauth/client/token-answer.ts'

/** What an identity provider has issued with a sign-in. */
export interface Issuance {
  readonly server: AuthorizationServer
  readonly issued: Issued
}

/** The same, to be sealed as a text between the browser and whoever ends the sign-in. */
export interface PlainIssuance {
  readonly server: AuthorizationServer
  readonly access: string
  readonly refresh: string | undefined
  readonly expiresAtMs: number | undefined
  readonly obtainedAtMs: number
  readonly idToken: string | undefined
  readonly idTokenExpiresAtMs: number
}

export const issuanceOf = ({ server, issued }: Pick<Identified, 'server' | 'issued'>): Issuance | undefined =>
  issued && { server, issued }

export const packIssuance = ({ server, issued: { tokens, idToken } }: Issuance): PlainIssuance => ({
  server,
  access: tokens.access.reveal(),
  refresh: tokens.refresh?.reveal(),
  expiresAtMs: tokens.expiresAtMs,
  obtainedAtMs: tokens.obtainedAtMs,
  idToken: idToken?.value.reveal(),
  idTokenExpiresAtMs: idToken?.expiresAtMs ?? 0,
})

export const unpackIssuance = (plain: PlainIssuance): Issuance => ({
  server: plain.server,
  issued: {
    tokens: {
      access: new SecretValue(plain.access),
      refresh: plain.refresh === undefined ? undefined : new SecretValue(plain.refresh),
      expiresAtMs: plain.expiresAtMs,
      obtainedAtMs: plain.obtainedAtMs,
    },
    scopes: undefined,
    idToken:
      plain.idToken === undefined
        ? undefined
        : { value: new SecretValue(plain.idToken), expiresAtMs: plain.idTokenExpiresAtMs },
  },
})
