import { Fault, toJsonRpc } from '../../lib/fault.ts'
import { errorMessage } from '../../protocol/json-rpc.ts'
import { rawAt } from '../../protocol/message.ts'
import type { Refusal } from './exchange.ts'

/** What a client is told when there is no answer, as JSON-RPC errors: models read the message, and little else. */

/** The connection broke while the daemon may have been at work. */
export const lostMessage = (id: string): string =>
  errorMessage(id, {
    code: -32603,
    message:
      'the answer to this call was lost with the connection to the daemon; it may have had effects, so look before you call again',
    data: { code: 'lost' },
  })

/** @param reason what was tried, and what came of it */
export const unreachableMessage = (id: string, reason: string): string =>
  errorMessage(
    id,
    toJsonRpc(new Fault('unavailable', { hint: `${reason}; start a daemon with: castellan up` })).error,
  )

export const faultMessage = (id: string | undefined, fault: Fault): string =>
  errorMessage(id, toJsonRpc(fault).error)

const SIGN_IN =
  'set CASTELLAN_TOKEN or give --token-file FILE to castellan connect; castellan create token NAME -p PROJECT makes one'

/** A refusal as the answer to a request: in the words of the daemon, where it has some for a person who can mend it. */
export function refusalMessage(id: string, refusal: Refusal): Buffer | string {
  if (refusal.status === 401) return faultMessage(id, new Fault('unauthenticated', { hint: SIGN_IN }))
  const { message } = refusal
  if (message === undefined) {
    const hint = `the address answered with status ${refusal.status}, and not as a Castellan daemon does; check --url and CASTELLAN_URL`
    return faultMessage(id, new Fault('unavailable', { hint }))
  }
  if (message.idText === id) return message.bytes
  return `{"jsonrpc":"2.0","id":${id},"error":${rawAt(message, 'error') ?? '{}'}}`
}

/** One line for the log of the client. */
export function refusalNote({ status, message }: Refusal): string {
  if (status === 401) return `the daemon refuses the credential: ${SIGN_IN}`
  const error =
    message === undefined ? {} : (JSON.parse(rawAt(message, 'error') ?? '{}') as { message?: unknown })
  return typeof error.message === 'string'
    ? `the daemon refuses: ${error.message.replace(/\p{Cc}/gu, ' ').slice(0, 500)}`
    : `the address answers with status ${status}, and not as a Castellan daemon does; check --url and CASTELLAN_URL`
}
