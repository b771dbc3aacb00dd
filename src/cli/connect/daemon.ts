import type { IncomingMessage } from 'node:http'
import type { SecretValue } from '../../lib/secret-value.ts'
import { openHttp, transportReason } from '../http-request.ts'
import type { Target } from '../target.ts'

/** An HTTP request to the endpoint; address and credential are put in as late as possible. */
export interface WireRequest {
  readonly method: 'POST' | 'GET' | 'DELETE'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Buffer
  readonly signal?: AbortSignal
  /** Called when the last byte was handed to the system. */
  readonly onSent?: () => void
}

/** The endpoint of a daemon that may be restarted, on another port too. */
export interface Daemon {
  /**
   * Resolves with the head of the answer.
   * @throws Error `Unsent` when it surely did not arrive; any other: nobody knows
   */
  open(request: WireRequest): Promise<IncomingMessage>
}

/** Nothing listens there, or nobody knows where: what was to be sent has reached nobody. */
export class Unsent extends Error {
  override readonly name = 'Unsent'
}

/**
 * @param locate where the daemon is, asked before each request: a home names another port after a restart, and the
 *   credential must not go to whoever has taken the old one
 * @param path of the endpoint, below the address of the daemon
 */
export function createDaemon(locate: () => Target, path: string): Daemon {
  return {
    async open(request) {
      const { url, credential } = locateOrUnsent(locate)
      const base = url.pathname.replace(/\/+$/, '')
      try {
        return await openHttp(new URL(base + path, url), {
          ...request,
          headers: { ...request.headers, ...bearer(credential) },
          // How long an answer may take is for the client to say; it cancels.
          timeoutMs: 0,
        })
      } catch (error) {
        throw reachedNobody(error)
          ? new Unsent(`no daemon answers at ${url.origin}: ${transportReason(error)}`, { cause: error })
          : error
      }
    },
  }
}

function locateOrUnsent(locate: () => Target): Target {
  try {
    return locate()
  } catch (error) {
    throw new Unsent(error instanceof Error ? error.message : 'no daemon is known', { cause: error })
  }
}

const bearer = (credential: SecretValue | undefined): Record<string, string> =>
  credential === undefined ? {} : { authorization: `Bearer ${credential.reveal()}` }

/** Failures of looking a name up, of connecting and of TLS come before the first byte of a request. */
function reachedNobody(error: unknown): boolean {
  const { syscall, code = '' } = error as NodeJS.ErrnoException
  return syscall === 'connect' || syscall === 'getaddrinfo' || /TLS|SSL|CERT|SELF_SIGNED|EPROTO/.test(code)
}
