import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from 'node:crypto'

/** Seals what strangers carry for us and bring back: nobody but us can read it or make one (AES-256-GCM). */
export interface Carrier {
  seal(value: unknown): string
  /** Undefined: not of ours, of another purpose, or changed on the way. */
  open(text: string): unknown
}

const CIPHER = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
const MAX_TEXT = 4096

/**
 * @param key 32 bytes, the same in all processes of one database
 * @param prefix how such a text begins; authenticated with it, so that one purpose is never taken for another
 */
export function createCarrier(key: Buffer, prefix: string): Carrier {
  const secret = createSecretKey(key)
  const context = Buffer.from(prefix)
  return {
    seal(value) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv(CIPHER, secret, nonce)
      cipher.setAAD(context)
      const sealed = Buffer.concat([cipher.update(JSON.stringify(value)), cipher.final()])
      return prefix + Buffer.concat([nonce, sealed, cipher.getAuthTag()]).toString('base64url')
    },
    open(text) {
      if (!text.startsWith(prefix) || text.length > MAX_TEXT) return undefined
      const bytes = Buffer.from(text.slice(prefix.length), 'base64url')
      if (bytes.length <= NONCE_BYTES + TAG_BYTES) return undefined
      const decipher = createDecipheriv(CIPHER, secret, bytes.subarray(0, NONCE_BYTES))
      decipher.setAAD(context)
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
      try {
        const plain = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES))
        return JSON.parse(Buffer.concat([plain, decipher.final()]).toString('utf8')) as unknown
      } catch {
        return undefined
      }
    },
  }
}
