import { insertMember, removeMembers } from '../../../protocol/bridge/request.ts'
import { memberList } from '../../../protocol/json-spans.ts'
import { notificationMessage } from '../../../protocol/json-rpc.ts'
import { readMessage, spanOf, type Message } from '../../../protocol/message.ts'
import { splice } from '../../../protocol/splice.ts'

export const SUBSCRIPTION_KEY = 'io.modelcontextprotocol/subscriptionId'

/** A notification for everybody who hears of the same change: rendered once for each form that it takes. */
export interface Change {
  /** For legacy clients. */
  readonly legacy: string
  /** @param id JSON text of the listen that it belongs to */
  modern(id: string): string
}

export type ListName = 'tools' | 'prompts' | 'resources'

/** A list as one bit, so that what a listener has to hear is a number. */
export const LIST_BIT = { tools: 1, prompts: 2, resources: 4 } as const satisfies Record<ListName, number>
export const LIST_NAMES = ['tools', 'prompts', 'resources'] as const
export const ALL_LISTS = 7

export const listChange = (list: ListName): Change => {
  const method = `notifications/${list}/list_changed`
  const head = `{"jsonrpc":"2.0","method":"${method}","params":{"_meta":{"${SUBSCRIPTION_KEY}":`
  return rendered(notificationMessage(method), (id) => `${head}${id}}}}`)
}

/** @param update `notifications/resources/updated`, as a server of either era sent it */
export function resourceChange(update: Message): Change {
  const legacy = withoutSubscription(update)
  return rendered(legacy.toString(), (id) => withSubscription(legacy, id))
}

/** The same, of a resource that has another URI for those who hear of it. */
export function renamedChange(change: Change, uri: string): Change {
  const update = readMessage(Buffer.from(change.legacy), 'upstream')
  const at = update.ok ? spanOf(update.value, 'params/uri') : undefined
  if (!update.ok || at === undefined) return change
  const legacy = splice(update.value.bytes, [{ ...at, text: JSON.stringify(uri) }])
  return rendered(legacy.toString(), (id) => withSubscription(legacy, id))
}

function rendered(legacy: string, render: (id: string) => string): Change {
  const byId = new Map<string, string>()
  return {
    legacy,
    modern(id) {
      let text = byId.get(id)
      if (text === undefined) {
        text = render(id)
        byId.set(id, text)
      }
      return text
    },
  }
}

/** The id of our own listen with the server is nobody else's. */
function withoutSubscription(update: Message): Buffer {
  const meta = spanOf(update, 'params/_meta')
  const params = spanOf(update, 'params')
  if (meta === undefined || params === undefined) return update.bytes
  const rest = memberList(update.bytes, meta).filter(({ key }) => key !== SUBSCRIPTION_KEY)
  const edits =
    rest.length === 0
      ? removeMembers(update.bytes, params, ['_meta'])
      : removeMembers(update.bytes, meta, [SUBSCRIPTION_KEY])
  return splice(update.bytes, edits)
}

function withSubscription(update: Buffer, id: string): string {
  const whole = { start: update.indexOf('{'), end: update.length }
  const params = memberList(update, whole).find(({ key }) => key === 'params')
  if (params === undefined) return update.toString()
  const member = `"${SUBSCRIPTION_KEY}":${id}`
  const meta = memberList(update, params).find(({ key }) => key === '_meta')
  const edit =
    meta !== undefined && update[meta.start] === 0x7b
      ? insertMember(update, meta, member)
      : insertMember(update, params, `"_meta":{${member}}`)
  return splice(update, [edit]).toString()
}
