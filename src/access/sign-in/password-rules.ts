import { SecretValue } from '../../lib/secret-value.ts'
import { err, ok, type Result } from '../../lib/result.ts'

/** OWASP and NIST SP 800-63B-4, 3.1.1.2: length is what counts; no rules about which characters. */
const MIN_PASSWORD_CHARACTERS = 12
/** Far above any pass phrase, and little work to hash. */
const MAX_PASSWORD_BYTES = 1024

/**
 * A password as it is hashed, the same from every keyboard: RFC 8265, 4.2.1 (OpaqueString): spaces of any kind are
 * U+0020, then Unicode form C; case and everything else stays. Control characters and half surrogate pairs are refused.
 *
 * @returns one public sentence without the password when it can be none
 */
export function preparePassword(text: string): Result<SecretValue, string> {
  if (Buffer.byteLength(text) > MAX_PASSWORD_BYTES)
    return err(`must be at most ${MAX_PASSWORD_BYTES} bytes long`)
  if (!text.isWellFormed() || /\p{Cc}/u.test(text)) return err('must be text without control characters')
  const prepared = text.replaceAll(/\p{Zs}/gu, ' ').normalize('NFC')
  return prepared === '' ? err('must not be empty') : ok(new SecretValue(prepared))
}

/**
 * The same for a password that is to be set.
 *
 * @param name of the user: a password that is made of it is the first one that anybody tries
 */
export function prepareNewPassword(text: string, name: string): Result<SecretValue, string> {
  if (Array.from(text.normalize('NFC')).length < MIN_PASSWORD_CHARACTERS)
    return err(`must have at least ${MIN_PASSWORD_CHARACTERS} characters`)
  const lower = text.toLowerCase()
  if (lower === name || new Set(lower).size < 4) return err('is too easy to guess')
  return preparePassword(text)
}
