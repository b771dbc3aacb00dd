import { isUtf8 } from 'node:buffer'
import { ok } from '../../lib/result.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import { MAX_VALUE_BYTES, unread, type Reading } from './backend.ts'

export const NOT_TEXT = 'what is there is not UTF-8 text; keep it there as text, for example in Base64'

/** What somebody else keeps, as a value: the same text that `spec.data` could hold. */
export function valueOf(bytes: Buffer): Reading {
  if (bytes.length === 0) return unread('unusable', 'what is there is empty')
  if (bytes.length > MAX_VALUE_BYTES)
    return unread('unusable', `what is there is larger than ${MAX_VALUE_BYTES} bytes`)
  if (!isUtf8(bytes)) return unread('unusable', NOT_TEXT)
  // It could stand in no header and in no environment.
  if (bytes.includes(0)) return unread('unusable', 'what is there holds a NUL character')
  return ok(new SecretValue(bytes.toString('utf8')))
}
