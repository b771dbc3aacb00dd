import { err, ok, type Result } from '../lib/result.ts'
import { scanJson, type Scanned, type ScanProblem } from './json-scan.ts'
import { MESSAGE_PATHS, PATH_COUNT, pathIndex, type Path } from './paths.ts'

const ID = pathIndex('id')
const METHOD = pathIndex('method')
const RESULT = pathIndex('result')
const ERROR = pathIndex('error')
const JSONRPC = pathIndex('jsonrpc')

export type MessageShape = 'request' | 'notification' | 'result' | 'error'

/** Where in a message's bytes something stands: from the first byte up to, not including, `end`. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** A JSON-RPC 2.0 message as it came: its bytes, and where in them the parts stand that we look at. */
export interface Message {
  readonly bytes: Buffer
  readonly scanned: Scanned
  readonly shape: MessageShape
  /** Absent for notifications, and for errors whose sender could not read the id (`"id": null`). */
  readonly idText: string | undefined
  /** Decoded; empty for responses. */
  readonly method: string
}

/** `batch`: an array. `envelope`: an object, but no JSON-RPC 2.0 message. */
export type MessageProblem = ScanProblem | 'batch' | 'envelope'

/** @param from `client` refuses every duplicate key; `upstream` only those we read ourselves */
export function readMessage(bytes: Buffer, from: 'client' | 'upstream'): Result<Message, MessageProblem> {
  const scanned = scanJson(bytes, MESSAGE_PATHS, {
    size: PATH_COUNT,
    duplicates: from === 'client' ? 'refuse' : 'below-wanted-ok',
  })
  if (typeof scanned === 'string') return err(scanned)
  if (scanned.opens === 0x5b) return err('batch')
  if (scanned.opens !== 0x7b || textAt(bytes, scanned, JSONRPC) !== '"2.0"') return err('envelope')
  const shape = shapeOf(scanned)
  if (shape === undefined) return err('envelope')
  const id = readId(bytes, scanned)
  if (id === false || (id === undefined && (shape === 'request' || shape === 'result')))
    return err('envelope')
  const method = shape === 'request' || shape === 'notification' ? decodeString(bytes, scanned, METHOD) : ''
  if (method === undefined || method.length > 128) return err('envelope')
  return ok({ bytes, scanned, shape, idText: id, method })
}

function shapeOf(scanned: Scanned): MessageShape | undefined {
  const has = (index: number): boolean => (scanned.at[2 * index] ?? -1) >= 0
  const answers = Number(has(RESULT)) + Number(has(ERROR))
  if (has(METHOD)) return answers > 0 ? undefined : has(ID) ? 'request' : 'notification'
  if (answers !== 1) return undefined
  return has(RESULT) ? 'result' : 'error'
}

/** JSON-RPC ids in MCP: a string or an integer. `null` is tolerated where it stands for "could not be read". */
function readId(bytes: Buffer, scanned: Scanned): string | undefined | false {
  const text = textAt(bytes, scanned, ID)
  if (text === undefined) return undefined
  if (text === 'null') return (scanned.at[2 * METHOD] ?? -1) >= 0 ? false : undefined
  if (text.length > 512) return false
  return text.startsWith('"') || /^-?\d+$/.test(text) ? text : false
}

function textAt(bytes: Buffer, scanned: Scanned, index: number): string | undefined {
  const start = scanned.at[2 * index] ?? -1
  return start < 0 ? undefined : bytes.toString('utf8', start, scanned.at[2 * index + 1])
}

function decodeString(bytes: Buffer, scanned: Scanned, index: number): string | undefined {
  const text = textAt(bytes, scanned, index)
  if (text === undefined || !text.startsWith('"')) return undefined
  return text.includes('\\') ? (JSON.parse(text) as string) : text.slice(1, -1)
}

const INDEX = new Map<Path, number>()

function indexOf(path: Path): number {
  let index = INDEX.get(path)
  if (index === undefined) {
    index = pathIndex(path)
    INDEX.set(path, index)
  }
  return index
}

export const spanOf = (message: Message, path: Path): Span | undefined => {
  const index = indexOf(path)
  const start = message.scanned.at[2 * index] ?? -1
  return start < 0 ? undefined : { start, end: message.scanned.at[2 * index + 1] ?? start }
}

export const hasPath = (message: Message, path: Path): boolean =>
  (message.scanned.at[2 * indexOf(path)] ?? -1) >= 0

/** The JSON text of a part, as it was written. */
export const rawAt = (message: Message, path: Path): string | undefined =>
  textAt(message.bytes, message.scanned, indexOf(path))

/** The part as a string, or undefined when it is absent or something else. */
export const stringAt = (message: Message, path: Path): string | undefined =>
  decodeString(message.bytes, message.scanned, indexOf(path))

/** The part, parsed. Not for the hot path. */
export const valueAt = (message: Message, path: Path): unknown => {
  const text = rawAt(message, path)
  return text === undefined ? undefined : (JSON.parse(text) as unknown)
}
