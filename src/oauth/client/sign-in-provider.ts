import type * as oauth from 'oauth4webapi'
import { err, ok, type Result } from '../../lib/result.ts'
import { isLoopbackHost } from './addresses.ts'
import { createFetcher, Unreachable, type Fetcher } from './guarded-fetch.ts'
import { loadLibrary, throughFetcher } from './library.ts'

/** What is known of a provider: its metadata, and the way to it. */
export interface KnownProvider {
  /** The library keeps the keys of the provider with this very object. */
  readonly server: oauth.AuthorizationServer
  readonly fetcher: Fetcher
}

export interface Providers {
  /** @returns one public sentence when its metadata cannot be had */
  find(issuer: string): Promise<Result<KnownProvider, string>>
  close(): Promise<void>
}

/** Signatures that only the provider can make; `none` and those with a shared secret are none. */
const ALGORITHMS = new Set('RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 Ed25519 EdDSA'.split(' '))
const FRESH_MS = 10 * 60_000
/** A provider that is away is not asked again by everybody who comes meanwhile. */
const AWAY_MS = 5000
const MAX_KNOWN = 100
export const TIMEOUT_MS = 10_000

interface Entry {
  readonly untilTick: number
  readonly found: Promise<Result<KnownProvider, string>>
}

/** Discovery documents by issuer (OpenID Connect Discovery 1.0, section 4), each asked for once in a while. */
export function createProviders(tickMs: () => number): Providers {
  const entries = new Map<string, Entry>()
  const fetchers = new Map<string, Fetcher>()

  function fetcherOf(issuer: string): Fetcher {
    const { hostname } = new URL(issuer)
    const known = fetchers.get(hostname)
    if (known !== undefined) return known
    // An administrator has named the host, so it may be a private one.
    const made = createFetcher({
      loopback: isLoopbackHost(hostname),
      hosts: new Set([hostname.replace(/^\[|\]$/g, '')]),
    })
    fetchers.set(hostname, made)
    return made
  }

  async function ask(issuer: string): Promise<Result<KnownProvider, string>> {
    const found = await discover(issuer, fetcherOf(issuer)).catch((thrown: unknown) =>
      err(
        thrown instanceof Unreachable
          ? `the identity provider was asked for its metadata: ${thrown.message}`
          : 'the metadata of the identity provider cannot be used',
      ),
    )
    entries.set(issuer, {
      untilTick: tickMs() + (found.ok ? FRESH_MS : AWAY_MS),
      found: Promise.resolve(found),
    })
    return found
  }

  return {
    find(issuer) {
      const known = entries.get(issuer)
      if (known !== undefined && known.untilTick > tickMs()) return known.found
      if (entries.size >= MAX_KNOWN) entries.clear()
      const found = ask(issuer)
      entries.set(issuer, { untilTick: tickMs() + 2 * TIMEOUT_MS, found })
      return found
    },
    async close() {
      await Promise.all([...fetchers.values()].map((fetcher) => fetcher.close()))
    },
  }
}

async function discover(issuer: string, fetcher: Fetcher): Promise<Result<KnownProvider, string>> {
  const library = await loadLibrary()
  const url = new URL(issuer)
  const response = await library.discoveryRequest(url, {
    algorithm: 'oidc',
    ...throughFetcher(library, fetcher, TIMEOUT_MS),
  })
  const server = await library.processDiscoveryResponse(url, response)
  // The library compares addresses, which forgives a slash; the identifier is a text (RFC 8414, 3.3).
  if (server.issuer !== issuer)
    return err('the metadata of the identity provider is about another issuer, so it is not used')
  const offered = server.id_token_signing_alg_values_supported ?? ['RS256']
  const algorithms = offered.filter((name) => ALGORITHMS.has(name))
  if (algorithms.length === 0) return err('the identity provider signs in no way that can be relied on')
  return ok({
    server: Object.assign({}, server, { id_token_signing_alg_values_supported: algorithms }),
    fetcher,
  })
}
