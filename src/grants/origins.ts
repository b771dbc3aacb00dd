import { isLoopback } from '../lib/loopback.ts'

/** `https://*.example.com`: every host below it, at any depth. */
const ANY_BELOW = /^https:\/\/\*\.([a-z0-9-]+(?:\.[a-z0-9-]+)+)$/

/**
 * An origin as grants are bound to it, from what somebody typed: an address of it will do.
 *
 * @returns undefined when no credential may be sent there: no https (but for loopback), or no host
 */
export function readOrigin(text: string): string | undefined {
  if (ANY_BELOW.test(text)) return text
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  if (url.username !== '' || url.password !== '' || url.hostname.includes('*')) return undefined
  if (url.protocol === 'https:') return url.origin
  return url.protocol === 'http:' && isLoopback(url.hostname) ? url.origin : undefined
}

/** Whether a credential that is bound to `origins` may be sent to `origin`. */
export function isBoundTo(origins: readonly string[], origin: string): boolean {
  if (origins.includes(origin)) return true
  return origins.some((bound) => {
    const domain = ANY_BELOW.exec(bound)?.[1]
    if (domain === undefined) return false
    const { protocol, hostname, port } = new URL(origin)
    return protocol === 'https:' && port === '' && hostname.endsWith(`.${domain}`)
  })
}
