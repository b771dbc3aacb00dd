import { readScopes } from './challenge.ts'
import type { Fetcher } from './guarded-fetch.ts'
import { parseObject } from './token-answer.ts'

/** What metadata of strangers is made of: nothing in it is what it should be until it was looked at. */
export type Document = Readonly<Record<string, unknown>>

export const TIMEOUT_MS = 5000
const MAX_HOPS = 3
const MAX_TEXT = 2048
const MAX_LISTED = 16
const MAX_SCOPES = 256

/** The revision that is named to servers which answer differently to others. */
export const REVISION = '2026-07-28'

/**
 * A JSON document of metadata. Redirects are followed within the origin: a page of another one has nothing to say
 * about this one.
 *
 * @returns undefined where there is no such document: the next address may have one
 * @throws Unreachable
 */
export async function getDocument(address: string, fetcher: Fetcher): Promise<Document | undefined> {
  const headers = { accept: 'application/json', 'mcp-protocol-version': REVISION }
  let at: string | undefined = address
  for (let hops = 0; at !== undefined && hops <= MAX_HOPS; hops++) {
    const answer = await fetcher.send(at, { method: 'GET', headers }, TIMEOUT_MS)
    if (answer.status === 200) return parseObject(await answer.text())
    at = redirectWithin(at, answer)
  }
  return undefined
}

function redirectWithin(from: string, { status, headers }: Response): string | undefined {
  const location = headers.get('location')
  if (![301, 302, 303, 307, 308].includes(status) || location === null || !URL.canParse(location, from))
    return undefined
  const to = new URL(location, from)
  return to.origin === new URL(from).origin ? to.href : undefined
}

export function textOf(document: Document, field: string): string | undefined {
  const value = document[field]
  return typeof value === 'string' && value !== '' && value.length <= MAX_TEXT ? value : undefined
}

export function textsOf(document: Document, field: string): readonly string[] | undefined {
  const value = document[field]
  if (!Array.isArray(value)) return undefined
  return (value as unknown[])
    .filter((one): one is string => typeof one === 'string' && one.length <= MAX_TEXT)
    .slice(0, MAX_LISTED)
}

/** Of `scopes_supported`. */
export function scopesOf(document: Document): readonly string[] {
  const value = document['scopes_supported']
  if (!Array.isArray(value)) return []
  return readScopes(
    (value as unknown[])
      .filter((one) => typeof one === 'string')
      .slice(0, MAX_SCOPES)
      .join(' '),
  )
}
