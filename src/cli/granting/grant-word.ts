import { usage } from '../failure.ts'

const PART = /^[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?$/

/**
 * The name of a grant as the daemon keeps it: `mcp-NAME`, as other products call it, is `mcp:NAME`.
 *
 * @throws CliFailure when nothing can be called so
 */
export function grantWord(text: string): string {
  const old = /^mcp-(.+)$/.exec(text)?.[1]
  const name = old === undefined ? text : `mcp:${old}`
  const [provider = '', qualifier, ...more] = name.split(':')
  if (more.length > 0 || !PART.test(provider) || (qualifier !== undefined && !isQualifier(qualifier)))
    throw usage(
      'nothing can have this name',
      'write: github, mcp:NAME or npm:HOST; castellan grant list shows those there are',
    )
  return name
}

/**
 * `NAME` of `oauth:NAME` or of `mcp:NAME`, which may be written in full.
 *
 * @throws CliFailure
 */
export function qualifierOf(provider: 'mcp' | 'oauth', text: string): string {
  const written = [`${provider}:`, ...(provider === 'mcp' ? ['mcp-'] : [])].find((head) =>
    text.startsWith(head),
  )
  const name = text.slice(written?.length ?? 0)
  if (isQualifier(name)) return name
  throw usage(
    'this cannot be the name of a grant',
    'write lower-case letters, digits, dots, hyphens and underscores, such as the name of its server',
  )
}

/** Nothing that means something in a path, and two dots nowhere. */
const isQualifier = (text: string): boolean => PART.test(text) && !text.includes('..')
