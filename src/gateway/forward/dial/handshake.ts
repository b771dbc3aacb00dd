import { err, ok, type Result } from '../../../lib/result.ts'
import {
  CAPABILITIES_KEY,
  CLIENT_INFO_KEY,
  VERSION_KEY,
  type Implementation,
} from '../../../protocol/envelope.ts'
import type { Offer } from '../../../protocol/client-offer.ts'
import { requestMessage } from '../../../protocol/json-rpc.ts'
import { rawAt, readMessage, stringAt, valueAt, type Message } from '../../../protocol/message.ts'
import {
  isLegacyRevision,
  LATEST_LEGACY,
  LATEST_MODERN,
  MODERN_REVISIONS,
} from '../../../protocol/revisions.ts'
import type { UpstreamFailure, UpstreamInfo } from '../upstream.ts'

/** The opening messages of both eras, and what their answers mean. */

export const initializeRequest = (wireId: string, us: Implementation, offer: Offer): string =>
  `{"jsonrpc":"2.0","id":${wireId},"method":"initialize","params":{"protocolVersion":"${LATEST_LEGACY}",` +
  `"capabilities":${offer.legacy},"clientInfo":${JSON.stringify(us)}}}`

/** What a first request says besides its method; other than the default only where a server has asked for it. */
export interface Opener {
  readonly version: string
  readonly capabilities: object
}

export const OPENER: Opener = { version: LATEST_MODERN, capabilities: {} }

export const ourEnvelope = (us: Implementation, opener = OPENER): Record<string, unknown> => ({
  [VERSION_KEY]: opener.version,
  [CAPABILITIES_KEY]: opener.capabilities,
  [CLIENT_INFO_KEY]: us,
})

export const discoverRequest = (wireId: string, us: Implementation, opener = OPENER): string =>
  requestMessage(wireId, 'server/discover', { _meta: ourEnvelope(us, opener) })

interface OpeningResult {
  readonly protocolVersion?: unknown
  readonly supportedVersions?: unknown
  readonly capabilities?: unknown
  readonly serverInfo?: unknown
  readonly instructions?: unknown
  readonly _meta?: Readonly<Record<string, unknown>>
}

/** @param stateful whether the server tied the answer to a connection or session */
export function readInitializeResult(
  reply: Message,
  stateful: boolean,
): Result<UpstreamInfo, UpstreamFailure> {
  const result = valueAt(reply, 'result') as OpeningResult | undefined
  const version = result?.protocolVersion
  if (result === undefined || typeof version !== 'string') {
    return err({ kind: 'invalid', message: `it refused to initialise${codeOf(reply)}` })
  }
  if (!isLegacyRevision(version))
    return err({ kind: 'invalid', message: 'it speaks a protocol revision that we do not know' })
  return ok({ era: 'legacy', protocolVersion: version, ...common(result, result.serverInfo), stateful })
}

/** What a server says of itself in answer to `server/discover`; undefined: it shares no revision with us. */
export function readDiscoverResult(reply: Message): UpstreamInfo | undefined {
  const result = valueAt(reply, 'result') as OpeningResult | null | undefined
  const versions = result?.supportedVersions
  if (typeof result !== 'object' || result === null || !Array.isArray(versions)) return undefined
  const shared = sharedModern(versions)
  if (shared === undefined) return undefined
  const serverInfo = result._meta?.['io.modelcontextprotocol/serverInfo'] ?? result.serverInfo
  return { era: 'modern', protocolVersion: shared, ...common(result, serverInfo), stateful: false }
}

/** The newest modern revision that is in a server's list and known to us. */
export const sharedModern = (versions: readonly unknown[]): string | undefined =>
  MODERN_REVISIONS.find((revision) => versions.includes(revision))

function common(
  result: OpeningResult,
  serverInfo: unknown,
): Pick<UpstreamInfo, 'capabilities' | 'serverInfo' | 'instructions'> {
  return {
    capabilities:
      typeof result.capabilities === 'object' && result.capabilities !== null ? result.capabilities : {},
    serverInfo:
      typeof serverInfo === 'object' && serverInfo !== null ? JSON.stringify(serverInfo) : undefined,
    instructions: typeof result.instructions === 'string' ? result.instructions : undefined,
  }
}

const codeOf = (reply: Message): string => {
  const code = rawAt(reply, 'error/code')
  return code === undefined || !/^-?\d+$/.test(code) ? '' : ` (error ${code})`
}

/** A message of our own, in the form that `Upstream.send` takes. */
export function ownMessage(text: string): Message {
  const message = readMessage(Buffer.from(text), 'client')
  if (!message.ok) throw new TypeError('a message of our own must be valid')
  return message.value
}

export const changedList = (method: string): 'tools' | 'prompts' | 'resources' | undefined => {
  if (method === 'notifications/tools/list_changed') return 'tools'
  if (method === 'notifications/prompts/list_changed') return 'prompts'
  return method === 'notifications/resources/list_changed' ? 'resources' : undefined
}

export const uriOfUpdate = (message: Message): string | undefined =>
  message.method === 'notifications/resources/updated' ? stringAt(message, 'params/uri') : undefined
