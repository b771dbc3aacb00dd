import { hash, randomBytes } from 'node:crypto'
import { SecretValue } from '../lib/secret-value.ts'

export interface MintedToken {
  /** `cst_` and 43 base64url characters (256 random bits). Shown once, kept nowhere. */
  readonly secret: SecretValue
  /** SHA-256 of the whole credential, lower-case hex: what is stored. */
  readonly digest: string
  /** `cst_` and the first 6 characters, to recognise it by: 36 of 256 bits, so 220 remain unknown. */
  readonly prefix: string
}

/** @param random 32 unpredictable bytes; tests pass their own */
export const mintToken = (random: Uint8Array = randomBytes(32)): MintedToken => mint('cst_', random)

/** The credential of a user who has signed in: `css_`, and the rest as that of a Token. */
export const mintSignInCredential = (): MintedToken => mint('css_', randomBytes(32))

function mint(kind: 'cst_' | 'css_', random: Uint8Array): MintedToken {
  const text = `${kind}${Buffer.from(random).toString('base64url')}`
  return { secret: new SecretValue(text), digest: hash('sha256', text, 'hex'), prefix: text.slice(0, 10) }
}
