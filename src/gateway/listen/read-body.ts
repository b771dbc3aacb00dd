import type { IncomingMessage } from 'node:http'

/** Bound of a request body, as in the official SDK. */
export const MAX_BODY_BYTES = 4 * 1024 * 1024

export type BodyProblem = 'too-large' | 'aborted'

/**
 * Reads the whole body and hands it, or why there is none, to `take`; resolves to what that returns. What is declared
 * too large is not read at all.
 */
export function readBody<T>(
  request: IncomingMessage,
  maxBytes: number,
  take: (body: Buffer | BodyProblem) => T,
): Promise<T> {
  const declared = request.headers['content-length']
  if (declared !== undefined && Number(declared) > maxBytes) return Promise.resolve(take('too-large'))
  return new Promise((resolve) => {
    let chunks: Buffer[] | undefined = []
    let size = 0
    const finish = (body: Buffer | BodyProblem): void => {
      if (chunks === undefined) return
      chunks = undefined
      resolve(take(body))
    }
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= maxBytes) chunks?.push(chunk)
      else {
        request.pause()
        finish('too-large')
      }
    })
    request.on('end', () => {
      const [only] = chunks ?? []
      finish(only !== undefined && chunks?.length === 1 ? only : Buffer.concat(chunks ?? [], size))
    })
    // Comes after `end` too; everything is settled then.
    request.on('close', () => finish('aborted'))
  })
}
