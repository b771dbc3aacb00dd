/**
 * Name of a grant: its provider, and which one of it where there can be several (`github`, `oauth:notion`,
 * `npm:registry.example.com`).
 */
export interface GrantId {
  readonly provider: string
  /** Undefined: there is one of this provider. */
  readonly qualifier: string | undefined
}

const GRANT = /^([a-z][a-z0-9-]{0,39})(?::([a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?))?$/
/** How such a grant was called by the products that people come from. */
const OLD_FORM = /^mcp-([a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?)$/

/** What may be the name of a grant. */
export const GRANT_NAME_RULE =
  'a provider, and a colon and a name where it has several: github, mcp:context7, oauth:notion'

/** The name as it is kept: `mcp-NAME` is `mcp:NAME`. Undefined: it cannot be one. */
export function grantName(text: string): string | undefined {
  const old = OLD_FORM.exec(text)?.[1]
  const name = old === undefined ? text : `mcp:${old}`
  return GRANT.test(name) ? name : undefined
}

/** @param name one that `grantName` has given */
export function readGrantId(name: string): GrantId {
  const [provider = '', qualifier] = name.split(':', 2)
  return { provider, qualifier }
}

const PROFILE = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,39}$/
export const DEFAULT_PROFILE = 'default'
export const isProfile = (text: string): boolean => PROFILE.test(text)
