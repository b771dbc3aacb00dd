import { createCipheriv, createDecipheriv, type CipherKey } from 'node:crypto'

export interface Context {
  /** 12 bytes, never twice under one key. */
  readonly nonce: Buffer
  /** Authenticated, not encrypted: what the ciphertext is for. */
  readonly aad: Buffer
}

export const NONCE_BYTES = 12
const TAG_BYTES = 16

/** AES-256-GCM (NIST SP 800-38D). @returns ciphertext, then its tag of 16 bytes */
export function encrypt(key: CipherKey, { nonce, aad }: Context, text: Buffer): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES }).setAAD(aad)
  return Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()])
}

/** @throws Error when it was changed, is of another key, or was made for something else */
export function decrypt(key: CipherKey, { nonce, aad }: Context, sealed: Buffer): Buffer {
  if (nonce.length !== NONCE_BYTES || sealed.length < TAG_BYTES) throw new Error('too short to be sealed')
  const end = sealed.length - TAG_BYTES
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(aad).setAuthTag(sealed.subarray(end))
  return Buffer.concat([decipher.update(sealed.subarray(0, end)), decipher.final()])
}

/** Every part with its length before it: no two lists give the same bytes. */
export function frame(parts: readonly string[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part) => {
      const bytes = Buffer.from(part)
      const length = Buffer.alloc(4)
      length.writeUInt32BE(bytes.length)
      return [length, bytes]
    }),
  )
}
