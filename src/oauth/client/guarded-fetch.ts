import { lookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { isIP } from 'node:net'
import type { Agent } from 'undici'
import { isLoopbackHost, reachOf } from './addresses.ts'

/** Which addresses may be asked besides public ones. */
export interface Allowed {
  /** Loopback addresses, and `http:` to them: only for a Server that is on loopback itself. */
  readonly loopback: boolean
  /** Hosts that an operator has configured by name, wherever they are. */
  readonly hosts: ReadonlySet<string>
}

export interface FetchInit {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
}

/** `lookup` of `node:dns`, asked for all addresses. */
export type Resolve = (
  hostname: string,
  options: LookupOptions & { readonly all: true },
  done: (error: NodeJS.ErrnoException | null, found: LookupAddress[]) => void,
) => void

/** What stands between us and addresses that strangers name. */
export interface Fetcher {
  /**
   * No redirect is followed: none is allowed where credentials travel. Nothing is decompressed either.
   * @throws Unreachable when the address is refused, does not answer in time, or answers with more than 1 MiB
   */
  send(url: string, init: FetchInit, timeoutMs: number): Promise<Response>
  close(): Promise<void>
}

const MAX_BODY_BYTES = 1024 * 1024
const MAX_HEADER_BYTES = 16 * 1024

/** Its message is public: it names no address. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable'
}

/**
 * Every connection goes to an address that was checked, and to no other: the lookup is the check, so a name that
 * means something else a moment later gains nothing.
 *
 * @param resolve how names become addresses
 */
export function createFetcher(allowed: Allowed, resolve: Resolve = lookup): Fetcher {
  let agent: Promise<Agent> | undefined
  const hosts = new Set(Array.from(allowed.hosts, bare))

  function mayReach(hostname: string, address: string): boolean {
    const reach = reachOf(address)
    return reach === 'public' || (reach === 'loopback' && allowed.loopback) || hosts.has(hostname)
  }

  async function openAgent(): Promise<Agent> {
    // Loaded with the first use: a daemon without OAuth grants does without.
    const { Agent } = await import('undici')
    return new Agent({
      connect: {
        timeout: 10_000,
        lookup: (hostname, options, done) =>
          resolve(hostname, { ...options, all: true }, (error, found) => {
            if (error !== null) return done(error, '', 0)
            const [first] = found
            if (first === undefined || !found.every(({ address }) => mayReach(hostname, address)))
              return done(new Unreachable(REFUSED), '', 0)
            if (options.all === true)
              return (done as unknown as (error: null, all: LookupAddress[]) => void)(null, found)
            return done(null, first.address, first.family)
          }),
      },
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: 0,
      bodyTimeout: 0,
    })
  }

  function check(url: URL): void {
    const host = bare(url.hostname)
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && allowed.loopback && isLoopbackHost(host)))
      throw new Unreachable('an address in it is not https')
    // A literal address is connected to without a lookup.
    if (isIP(host) !== 0 && !mayReach(host, host)) throw new Unreachable(REFUSED)
  }

  return {
    async send(address, init, timeoutMs) {
      const url = parseUrl(address)
      check(url)
      const { request } = await import('undici')
      const signal = AbortSignal.timeout(timeoutMs)
      try {
        const { statusCode, headers, body } = await request(url, {
          method: init.method as 'GET',
          headers: init.headers,
          body: init.body ?? null,
          dispatcher: await (agent ??= openAgent()),
          signal,
        })
        const bytes = await readBounded(body)
        return new Response(statusCode === 204 ? null : bytes, { status: statusCode, headers: flat(headers) })
      } catch (thrown) {
        throw asUnreachable(thrown, signal.aborted)
      }
    },
    async close() {
      await (await agent)?.destroy()
    },
  }
}

/** `URL` has IPv6 addresses in brackets, lookups do not. */
const bare = (hostname: string): string => hostname.replace(/^\[|\]$/g, '')

const REFUSED = 'an address in it is not public'

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || url.username !== '' || url.password !== '')
    throw new Unreachable('an address in it is not a valid one')
  return url
}

async function readBounded(body: AsyncIterable<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) throw new Unreachable('an answer is larger than 1 MiB')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const flat = (headers: Readonly<Record<string, string | string[] | undefined>>): [string, string][] =>
  Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value] as [string, string]],
  )

function asUnreachable(thrown: unknown, timedOut: boolean): Unreachable {
  if (thrown instanceof Unreachable) return thrown
  const { code } = thrown as { code?: unknown }
  if (code === 'UND_ERR_HEADERS_OVERFLOW')
    return new Unreachable('an answer has more headers than are read', { cause: thrown })
  if (timedOut) return new Unreachable('it does not answer in time', { cause: thrown })
  return new Unreachable('it cannot be reached', { cause: thrown })
}
