import { isLoopback } from '../../lib/loopback.ts'
import { usage } from '../failure.ts'

/** Every host below one. */
const ANY_BELOW = /^https:\/\/\*\.([a-z0-9-]+(?:\.[a-z0-9-]+)+)$/

/**
 * Origins that a grant is bound to, from addresses.
 *
 * @throws CliFailure when a credential may not be sent to one of them
 */
export const readOrigins = (urls: readonly string[]): readonly string[] => [...new Set(urls.map(originOf))]

function originOf(text: string): string {
  if (ANY_BELOW.test(text)) return text
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))
  if (
    url !== undefined &&
    isSafe &&
    url.username === '' &&
    url.password === '' &&
    !url.hostname.includes('*')
  )
    return url.origin
  throw usage(
    'a grant cannot be sent to one of these addresses',
    'write: https://api.example.com, or https://*.example.com for every host below; http for this machine only, and no user in it',
  )
}
