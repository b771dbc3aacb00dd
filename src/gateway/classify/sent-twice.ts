import type { IncomingMessage } from 'node:http'

/**
 * Whether a header that may hold a comma came more than once: Node joins the values, so that two headers could pass for
 * one, while whoever stands between us and the client may have gone by the first.
 */
export const sentTwice = (request: IncomingMessage, name: string): boolean =>
  request.headers[name]?.includes(',') === true && (request.headersDistinct[name]?.length ?? 0) > 1
