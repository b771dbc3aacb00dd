import { hash } from 'node:crypto'
import { Fault } from '../../lib/fault.ts'

/**
 * The tag of one representation: the revision of the object, and a digest of what is answered, since the status in it
 * and the output asked for are no part of a revision. `If-Match` looks at the revision alone: what the system observed
 * meanwhile is nothing that a change could overwrite.
 */
export const etagOf = (revision: number, body: string): string =>
  `"${revision}-${hash('sha256', body, 'base64url').slice(0, 16)}"`

const TAG = /^\s*(?:W\/)?"(?:(\d{1,15})(?:-[\w-]{0,64})?|[\x21\x23-\x7e\x80-\xff]*)"\s*$/
const MAX_TAGS = 32

/**
 * The revisions that `If-Match` names (RFC 9110 §13.1.1). Undefined: there is no such header, or it is `*`, which
 * every object that is there fits. A tag that is none of ours fits nothing.
 *
 * @throws Fault `invalid`
 */
export function revisionsToMatch(request: Request): readonly number[] | undefined {
  const header = request.headers.get('if-match')
  if (header === null || header.trim() === '*') return undefined
  const tags = header.split(',').map((tag) => TAG.exec(tag))
  if (tags.length > MAX_TAGS || tags.some((tag) => tag === null))
    throw new Fault('invalid', {
      problems: ['If-Match: must be * or ETags in double quotes, as the answer to a GET has them'],
    })
  return tags.flatMap((tag) => (tag?.[1] === undefined ? [] : [Number(tag[1])]))
}

/** Whether the client has this representation already (RFC 9110 §13.1.2). */
function isKnown(request: Request, etag: string): boolean {
  const header = request.headers.get('if-none-match')
  if (header === null) return false
  return header.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag)
}

/** The answer with its tag; without its body where the client has that already (304). */
export async function tagged(request: Request, revision: number, answer: Response): Promise<Response> {
  const body = await answer.text()
  const { status, headers } = answer
  headers.set('etag', etagOf(revision, body))
  if (request.method !== 'GET' && request.method !== 'HEAD') return new Response(body, { status, headers })
  if (!isKnown(request, headers.get('etag') ?? '')) return new Response(body, { status, headers })
  headers.delete('content-type')
  return new Response(null, { status: 304, headers })
}
