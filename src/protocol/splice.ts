/** One replacement in a message: bytes `start` up to `end` become `text`. */
export interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** The bytes with the edits made and everything else as it was. Edits may come in any order but must not overlap. */
export function splice(bytes: Buffer, edits: readonly Edit[]): Buffer {
  if (edits.length === 0) return bytes
  const ordered = isOrdered(edits) ? edits : edits.toSorted((a, b) => a.start - b.start || a.end - b.end)
  let size = bytes.length
  for (const edit of ordered) size += Buffer.byteLength(edit.text) - (edit.end - edit.start)
  const out = Buffer.allocUnsafe(size)
  let from = 0
  let to = 0
  for (const edit of ordered) {
    to += bytes.copy(out, to, from, edit.start)
    to += out.write(edit.text, to)
    from = edit.end
  }
  bytes.copy(out, to, from)
  return out
}

/** They nearly always are: most are made in the order of the message. */
function isOrdered(edits: readonly Edit[]): boolean {
  let before: Edit | undefined
  for (const edit of edits) {
    if (
      before !== undefined &&
      (edit.start < before.start || (edit.start === before.start && edit.end < before.end))
    )
      return false
    before = edit
  }
  return true
}
