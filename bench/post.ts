import { request, type Agent } from 'node:http'

export interface Posting {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly agent: Agent
}

/**
 * Sends one message and returns the whole text of the answer, whatever its status; '' when the connection broke.
 * @param partial told what has come so far, whenever there is more
 */
export function post(posting: Posting, body: string, partial?: (soFar: string) => void): Promise<string> {
  const { url, headers, agent } = posting
  return new Promise((resolve) => {
    const sent = request(
      url,
      {
        method: 'POST',
        agent,
        headers: {
          accept: 'application/json, text/event-stream',
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          ...headers,
        },
      },
      (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk
          partial?.(text)
        })
        response.once('close', () => resolve(text))
      },
    )
    sent.setTimeout(10_000, () => sent.destroy()).once('error', () => resolve(''))
    sent.end(body)
  })
}
