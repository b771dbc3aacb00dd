/** What is known when scopes are chosen. */
export interface ScopeSources {
  /** What the user asked for: nothing else counts then. */
  readonly given: readonly string[] | undefined
  /** From the challenge of the server. */
  readonly challenged: readonly string[]
  /** `scopes_supported` of the protected resource. */
  readonly resource: readonly string[]
  /** `scopes_supported` of the authorization server. */
  readonly authorizationServer: readonly string[]
  /** What earlier authorizations of this grant asked for, as long as the issuer is the same. */
  readonly before: readonly string[]
}

const OFFLINE = 'offline_access'

/**
 * The scopes to ask for (MCP, "Scope selection strategy"): those of the challenge, else those that the resource
 * supports, else none; joined with what was asked for before, so that a step up loses nothing. `offline_access` only
 * where the authorization server lists it.
 */
export function chooseScopes(sources: ScopeSources): readonly string[] {
  const { given, challenged, resource, before, authorizationServer } = sources
  if (given !== undefined) return given
  const chosen = new Set([...before, ...(challenged.length > 0 || before.length > 0 ? challenged : resource)])
  chosen.delete(OFFLINE)
  // Alone it would narrow what the authorization server gives by default.
  if (chosen.size > 0 && authorizationServer.includes(OFFLINE)) chosen.add(OFFLINE)
  return [...chosen]
}

/** OpenID Connect, "Offline Access": the user has to be asked, or no refresh token is given. */
export const needsConsent = (scopes: readonly string[]): boolean => scopes.includes(OFFLINE)
