import { z } from 'zod'

export const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/

/** Headers that belong to the protocol or the connection: ours to set. */
export const RESERVED_HEADERS: ReadonlySet<string> = new Set(
  (
    'accept content-type content-length connection host transfer-encoding te upgrade expect keep-alive trailer ' +
    'mcp-session-id mcp-protocol-version mcp-method mcp-name last-event-id'
  ).split(' '),
)

/** `mcp-NAME` is how such a grant was called by the products that people come from. */
const OLD_FORM = /^mcp-(?=[a-z0-9])/

const Grant = z
  .string()
  .max(300)
  .overwrite((name) => name.replace(OLD_FORM, 'mcp:'))
  .regex(
    /^[a-z][a-z0-9-]{0,39}(?::[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?)?$/,
    'must be a provider, and a colon and a name where it has several: github, mcp:context7, oauth:notion',
  )

/** Which credential of others a Server is reached with, whose, and how it is sent. */
export const ServerAuth = z.strictObject({
  grant: Grant.describe(
    'The grant that is sent: `oauth:NAME`, `mcp:NAME`, or one of a provider (`github`). Given with `castellan grant`.',
  ),
  profile: z
    .string()
    .regex(/^[a-zA-Z0-9][a-zA-Z0-9_-]{0,39}$/, 'must be a name of letters, digits, "-" and "_"')
    .optional()
    .describe('The set of grants that it is in; default `default`.'),
  whose: z
    .enum(['shared', 'per-user', 'per-project', 'caller'])
    .optional()
    .describe(
      'Whose grant: one that all share (default), each person their own, each project its own, or what the authorization server of the server gives for the sign-in of whoever calls (token exchange).',
    ),
  header: z
    .string()
    .regex(HEADER_NAME, 'must be an HTTP header name')
    .optional()
    .describe('The header that it is sent in; default `Authorization`.'),
  query: z
    .string()
    .regex(/^[A-Za-z0-9._~-]{1,64}$/, 'must be the name of a query parameter')
    .optional()
    .describe(
      'A query parameter instead of a header, for servers that take nothing else: logs of others show it.',
    ),
  format: z
    .enum(['raw', 'bearer', 'basic'])
    .optional()
    .describe(
      'How it is written: as it is, after `Bearer `, or as `Basic` credentials of `user:password`; default `bearer` for `oauth:` grants, else `raw`.',
    ),
  prefix: z
    .string()
    .regex(/^[\x20-\x7e]{1,64}$/, 'must be visible ASCII')
    .optional()
    .describe('What it is written after, instead of `format`: `token `.'),
})

export type ServerAuth = z.output<typeof ServerAuth>

interface Remote {
  readonly headers: readonly { readonly name: string }[]
  readonly auth?: ServerAuth | undefined
  readonly url: string
}

/** What no single field shows. */
export function checkAuth({ headers, auth, url }: Remote): string[] {
  if (auth === undefined) return []
  const problems: string[] = []
  if (auth.header !== undefined && auth.query !== undefined)
    problems.push('spec.auth: give one of header and query')
  if (auth.format !== undefined && auth.prefix !== undefined)
    problems.push('spec.auth: give one of format and prefix')
  if (auth.query !== undefined) {
    if (auth.format !== undefined && auth.format !== 'raw')
      problems.push('spec.auth.format: a query parameter is sent as it is')
    if (URL.canParse(url) && new URL(url).searchParams.has(auth.query))
      problems.push('spec.auth.query: the url has this parameter already')
  }
  const header = auth.query === undefined ? (auth.header ?? 'Authorization') : undefined
  if (header === undefined) return problems
  if (RESERVED_HEADERS.has(header.toLowerCase()))
    problems.push(`spec.auth.header: ${header} is set by the gateway`)
  if (headers.some(({ name }) => name.toLowerCase() === header.toLowerCase()))
    problems.push(`spec.headers: ${header} is set by spec.auth; leave one of them out`)
  if (auth.whose === 'caller' && !auth.grant.startsWith('oauth:'))
    problems.push('spec.auth.grant: whose: caller needs a grant of an authorization server, oauth:NAME')
  return problems
}
