import { valueAt, type Message } from '../../../protocol/message.ts'
import type { Refusal } from '../../exchange.ts'
import { LIST_BIT, LIST_NAMES } from './change.ts'

/** What a listen wants to hear of. */
export interface ListenFilter {
  /** Bits of `LIST_BIT`. */
  readonly lists: number
  readonly uris: readonly string[]
}

/** Of one listen. Each is a subscription with a server, and is asked for before the listen is acknowledged. */
export const MAX_URIS = 2000
const MAX_URI_CHARS = 8192

const MEMBER = {
  tools: 'toolsListChanged',
  prompts: 'promptsListChanged',
  resources: 'resourcesListChanged',
} as const

/** `params.notifications` (MCP 2026-07-28, subscriptions/listen). What it names besides is not served, and not refused. */
export function readListenFilter(request: Message): ListenFilter | Refusal {
  const params = valueAt(request, 'params') as { readonly notifications?: unknown } | null
  const wanted = params?.notifications
  if (typeof wanted !== 'object' || wanted === null || Array.isArray(wanted))
    return { code: 'invalid', problems: ['params.notifications must be an object'] }
  const filter = wanted as Readonly<Record<string, unknown>>
  const problems: string[] = []
  let lists = 0
  for (const list of LIST_NAMES) {
    const value = filter[MEMBER[list]]
    if (value === true) lists |= LIST_BIT[list]
    else if (value !== undefined && value !== false)
      problems.push(`params.notifications.${MEMBER[list]} must be a boolean`)
  }
  const uris = readUris(filter['resourceSubscriptions'] ?? [])
  if (uris === undefined)
    problems.push(
      `params.notifications.resourceSubscriptions must be an array of at most ${MAX_URIS} URIs of at most ${MAX_URI_CHARS} characters`,
    )
  return problems.length > 0 ? { code: 'invalid', problems } : { lists, uris: uris ?? [] }
}

function readUris(value: unknown): string[] | undefined {
  if (!Array.isArray(value) || value.length > MAX_URIS) return undefined
  const isUri = (one: unknown): one is string =>
    typeof one === 'string' && one.length > 0 && one.length <= MAX_URI_CHARS
  return value.every(isUri) ? [...new Set(value)] : undefined
}

/** The filter as it is acknowledged: only what is on. */
export const writeListenFilter = ({ lists, uris }: ListenFilter): Record<string, unknown> => ({
  ...Object.fromEntries(
    LIST_NAMES.filter((list) => (lists & LIST_BIT[list]) !== 0).map((list) => [MEMBER[list], true]),
  ),
  ...(uris.length === 0 ? {} : { resourceSubscriptions: uris }),
})
