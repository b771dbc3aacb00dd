/** Server-sent events (WHATWG HTML, "Server-sent events"), as far as MCP uses them. */

export interface SseEvent {
  readonly event: string
  readonly data: Buffer
  /** Last event id as of this event; undefined when the stream has set none. */
  readonly id: string | undefined
}

export interface SseParser {
  /** Feeds bytes; calls back per complete event. False: an event passed the bound, the stream cannot be used further. */
  feed(chunk: Buffer): boolean
  /** What the server asked us to wait before connecting again, in ms. */
  readonly retryMs: number | undefined
  /** Where the stream can be resumed, if the server has given events ids. */
  readonly lastId: string | undefined
}

const LF = 0x0a
const CR = 0x0d
const NOTHING = Buffer.alloc(0)

/** @param maxBytes bound of one event's lines together */
export function createSseParser(maxBytes: number, onEvent: (event: SseEvent) => void): SseParser {
  // Bytes of a line whose end has not come: grown by doubling, so that many small chunks cost no more than few large ones.
  let held: Buffer = NOTHING
  let heldBytes = 0
  let skipLf = false
  let first = true
  let event = ''
  let data: Buffer[] = []
  let size = 0
  let id: string | undefined
  let retryMs: number | undefined

  function hold(part: Buffer): void {
    if (heldBytes + part.length > held.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * held.length, heldBytes + part.length))
      held.copy(larger, 0, 0, heldBytes)
      held = larger
    }
    heldBytes += part.copy(held, heldBytes)
  }

  /** The line that ends with `part`. */
  function whole(part: Buffer): Buffer {
    let bytes = part
    if (heldBytes > 0) {
      hold(part)
      bytes = held.subarray(0, heldBytes)
      held = NOTHING
      heldBytes = 0
    }
    const marked = first && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
    first = false
    return marked ? bytes.subarray(3) : bytes
  }

  function line(bytes: Buffer): void {
    if (bytes.length === 0) {
      if (data.length > 0) onEvent({ event: event === '' ? 'message' : event, data: join(data), id })
      event = ''
      data = []
      size = 0
      return
    }
    const colon = bytes.indexOf(0x3a)
    if (colon === 0) return
    const field = bytes.toString('latin1', 0, colon < 0 ? bytes.length : colon)
    const value =
      colon < 0
        ? bytes.subarray(bytes.length)
        : bytes.subarray(bytes[colon + 1] === 0x20 ? colon + 2 : colon + 1)
    if (field === 'data') data.push(value)
    else if (field === 'event') event = value.toString('utf8')
    else if (field === 'id' && !value.includes(0)) id = value.toString('utf8')
    else if (field === 'retry' && /^\d{1,9}$/.test(value.toString('latin1')))
      retryMs = Number(value.toString('latin1'))
  }

  return {
    get retryMs() {
      return retryMs
    },
    get lastId() {
      return id
    },
    feed(chunk) {
      let start = 0
      for (let pos = 0; pos < chunk.length; pos++) {
        const c = chunk[pos]
        if (c !== LF && c !== CR) continue
        if (c === LF && skipLf && pos === start) {
          skipLf = false
          start = pos + 1
          continue
        }
        size += heldBytes + pos - start
        if (size > maxBytes) return false
        line(whole(chunk.subarray(start, pos)))
        skipLf = c === CR
        start = pos + 1
      }
      if (start < chunk.length) {
        if (size + heldBytes + chunk.length - start > maxBytes) return false
        hold(chunk.subarray(start))
        skipLf = false
      }
      return true
    },
  }
}

const join = (lines: readonly Buffer[]): Buffer => {
  const only = lines[0]
  if (lines.length === 1 && only !== undefined) return Buffer.from(only)
  return Buffer.concat(lines.flatMap((part, i) => (i === 0 ? [part] : [Buffer.from('\n'), part])))
}

/** One `message` event. A JSON-RPC message holds no raw line break, since upstream line breaks are folded by `oneLine`. */
export const sseMessage = (message: Buffer | string): string =>
  `event: message\ndata: ${oneLine(message)}\n\n`

/** The same with an id under which the stream can be resumed after it. */
export const sseEvent = (message: Buffer | string, id: string | undefined): string =>
  id === undefined ? sseMessage(message) : `id: ${id}\nevent: message\ndata: ${oneLine(message)}\n\n`

/**
 * An id without a message: where a client may resume before anything was said, or that nothing follows (MCP 2025-11-25,
 * "priming event"; older clients take the empty data for a message that is broken).
 */
export const sseMark = (id: string, retryMs: number | undefined): string =>
  `id: ${id}\n${retryMs === undefined ? '' : `retry: ${retryMs}\n`}data: \n\n`

/** JSON may be pretty-printed; between tokens a line break and a space mean the same, and inside strings none can stand. */
const oneLine = (message: Buffer | string): string => {
  const text = message.toString()
  return text.includes('\n') || text.includes('\r') ? text.replace(/[\r\n]/g, ' ') : text
}

/** Keeps proxies from closing a silent stream. */
export const SSE_KEEP_ALIVE = ': keep-alive\n\n'
