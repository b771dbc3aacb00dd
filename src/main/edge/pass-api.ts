import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ControlPlane } from '../../edge/control-plane.ts'
import { Fault } from '../../lib/fault.ts'

/** Addresses that take no credential: they are there to get one. */
export const PUBLIC_PATHS: readonly RegExp[] = [
  /^\/api\/v1\/auth\/(?:login|providers|oidc\/start|oidc\/finish)$/,
  /^\/api\/v1\/tokens\/introspect$/,
  /^\/api\/v1\/faults\/[a-z_]+$/,
]

/** Of one connection, and not of the message (RFC 9110, 7.6.1); and what says who is asked, which is another here. */
const HOP_BY_HOP: ReadonlySet<string> = new Set(
  'connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade host origin expect'.split(
    ' ',
  ),
)

/**
 * Hands requests for the control API on to the control plane, with the credential of whoever makes them and no other,
 * and its answers back as they come.
 *
 * @throws Fault `unauthenticated` before anything is sent, `unavailable`
 */
export function createPassApi(
  control: Pick<ControlPlane, 'pass'>,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  return async (request, response) => {
    const path = request.url ?? '/'
    const [address = ''] = path.split('?', 1)
    if (isEmpty(request.headers.authorization) && !PUBLIC_PATHS.some((known) => known.test(address)))
      throw new Fault('unauthenticated', {
        hint: 'send Authorization: Bearer <token>; castellan login signs in',
      })
    const stop = new AbortController()
    response.once('close', () => stop.abort())
    const answer = await control
      .pass({
        method: request.method ?? 'GET',
        path,
        headers: endToEnd(request.headers),
        body: hasBody(request) ? request : null,
        signal: stop.signal,
      })
      .catch((thrown: unknown) => {
        throw new Fault('unavailable', {
          hint: 'the control plane does not answer; try again, or ask it directly with --direct',
          cause: thrown,
        })
      })
    response.writeHead(answer.statusCode, endToEnd(answer.headers))
    response.flushHeaders()
    answer.body.once('error', () => response.destroy())
    answer.body.pipe(response)
  }
}

const isEmpty = (authorization: string | undefined): boolean =>
  authorization === undefined || !/^\S+ +\S/.test(authorization)

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0

/** What the headers of a message say besides, named in `Connection`, belongs to the connection too. */
function endToEnd(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Record<string, string | string[]> {
  const named = String(headers['connection'] ?? '')
    .toLowerCase()
    .split(/\s*,\s*/)
  return Object.fromEntries(
    Object.entries(headers).filter(
      (entry): entry is [string, string | string[]] =>
        entry[1] !== undefined && !HOP_BY_HOP.has(entry[0]) && !named.includes(entry[0]),
    ),
  )
}
