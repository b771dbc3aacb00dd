const NEWLINE = 10
const RETURN = 13

export interface LineSplitter {
  /** False: the line that is arriving is longer than the bound; nothing more is taken. */
  push(chunk: Buffer): boolean
  /** The rest that no newline closed. */
  end(): void
}

/**
 * Cuts a byte stream at newlines. Empty lines are left out, a carriage return before the newline is dropped. Holds at
 * most `maxBytes` of an unfinished line, and copies only lines that arrive in more than one chunk.
 */
export function createLineSplitter(maxBytes: number, line: (line: Buffer) => void): LineSplitter {
  let parts: Buffer[] = []
  let held = 0
  let full = false

  const emit = (last: Buffer): void => {
    const whole = parts.length === 0 ? last : Buffer.concat([...parts, last], held + last.length)
    parts = []
    held = 0
    const end = whole.at(-1) === RETURN ? whole.length - 1 : whole.length
    if (end > 0) line(end === whole.length ? whole : whole.subarray(0, end))
  }

  const push = (chunk: Buffer): boolean => {
    let from = 0
    while (!full && from < chunk.length) {
      const newline = chunk.indexOf(NEWLINE, from)
      const piece = chunk.subarray(from, newline === -1 ? chunk.length : newline)
      if (held + piece.length > maxBytes) {
        full = true
        parts = []
      } else if (newline === -1) {
        parts.push(piece)
        held += piece.length
        return true
      } else {
        emit(piece)
        from = newline + 1
      }
    }
    return !full
  }

  return {
    push,
    end: () => {
      if (!full && held > 0) emit(Buffer.alloc(0))
    },
  }
}
