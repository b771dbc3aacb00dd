import type { IncomingMessage } from 'node:http'

/** Bound of a request body, as in the official SDK. */
export const MAX_BODY_BYTES = 4 * 1024 * 1024

export type BodyProblem = 'too-large' | 'aborted'

/** The whole body, or why there is none. What is declared too large is not read at all. */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | BodyProblem> {
  const declared = request.headers['content-length']
  if (declared !== undefined && Number(declared) > maxBytes) return Promise.resolve('too-large')
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > maxBytes) {
        request.pause()
        resolve('too-large')
        return
      }
      chunks.push(chunk)
    })
    request.on('end', () => {
      const [only] = chunks
      resolve(chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, size))
    })
    request.on('error', () => resolve('aborted'))
    request.on('close', () => resolve('aborted'))
  })
}
