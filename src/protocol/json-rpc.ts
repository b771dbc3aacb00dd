import type { JsonRpcFault } from '../lib/fault.ts'

/** Ids travel as the JSON text in which they came, so that `1`, `"1"` and `9007199254740993` stay what they are. */
export type IdText = string

/** @param resultJson the JSON text of the result */
export const resultMessage = (id: IdText, resultJson: string): string =>
  `{"jsonrpc":"2.0","id":${id},"result":${resultJson}}`

/** An error that could not be tied to a request has no `id` member (MCP allows it; `null` makes some clients wait). */
export const errorMessage = (id: IdText | undefined, error: JsonRpcFault['error']): string =>
  `{"jsonrpc":"2.0",${id === undefined ? '' : `"id":${id},`}"error":${JSON.stringify(error)}}`

export const requestMessage = (id: IdText, method: string, params: unknown): string =>
  `{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(method)}${params === undefined ? '' : `,"params":${JSON.stringify(params)}`}}`

export const notificationMessage = (method: string, params?: unknown): string =>
  `{"jsonrpc":"2.0","method":${JSON.stringify(method)}${params === undefined ? '' : `,"params":${JSON.stringify(params)}`}}`
