const LF = 0x0a

/** A line that is longer than it may be: its bytes were dropped as they came. */
export const TOO_LONG = Symbol('a line that is too long')

/**
 * The lines of a stream of bytes, without their ends. Empty ones are left out; the last one need not be ended.
 *
 * @param maxBytes bound of one line; of a longer one nothing is kept
 */
export async function* readLines(
  input: AsyncIterable<Buffer | string>,
  maxBytes: number,
): AsyncGenerator<Buffer | typeof TOO_LONG> {
  let held: Buffer[] = []
  let size = 0
  for await (const piece of input) {
    const chunk = typeof piece === 'string' ? Buffer.from(piece) : piece
    let start = 0
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, start)) {
      size += end - start
      held.push(chunk.subarray(start, end))
      start = end + 1
      const line = size > maxBytes ? TOO_LONG : join(held)
      held = []
      size = 0
      if (line === TOO_LONG || isSomething(line)) yield line
    }
    size += chunk.length - start
    if (size <= maxBytes) held.push(chunk.subarray(start))
    else held = []
  }
  if (size > maxBytes) yield TOO_LONG
  else if (isSomething(join(held))) yield join(held)
}

const join = (parts: readonly Buffer[]): Buffer =>
  parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts)

const isSomething = (line: Buffer): boolean => line.length > 0 && !(line.length === 1 && line[0] === 0x0d)
