import { err, ok, type Result } from '../../lib/result.ts'

const MAX_LENGTH = 8192

/**
 * What a user pastes who has no browser on this host: the address at which the browser ended, or its query.
 *
 * @param redirectUri where the authorization server was asked to send the browser
 * @returns the parameters for `checkCallback`; one public sentence when it is another address or no answer
 */
export function readPastedAnswer(pasted: string, redirectUri: string): Result<URLSearchParams, string> {
  const text = pasted.trim()
  const wanted = `paste the whole address at which the browser ended; it begins with ${redirectUri}`
  if (text.length > MAX_LENGTH) return err(`that is longer than an answer can be; ${wanted}`)
  const url = URL.canParse(text) ? new URL(text) : undefined
  const expected = new URL(redirectUri)
  if (url !== undefined && (url.origin !== expected.origin || url.pathname !== expected.pathname))
    return err(`that is the address of another page; ${wanted}`)
  if (url !== undefined && (url.username !== '' || url.password !== ''))
    return err(`that is the address of another page; ${wanted}`)
  const answer = url?.searchParams ?? new URLSearchParams(text)
  if (answer.get('state') === null || (answer.get('code') ?? answer.get('error')) === null)
    return err(`that holds no answer of an authorization server; ${wanted}`)
  return ok(answer)
}
