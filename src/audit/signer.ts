import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'

/** Signs and checks statements about the chain with ed25519 (RFC 8032). */
export interface Signer {
  /** @returns base64url */
  sign(statement: string): string
  verify(statement: string, signature: string): boolean
}

/** DER of a PKCS #8 ed25519 key up to its 32 bytes (RFC 8410, section 7). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

/** @param seed 32 bytes */
export function createSigner(seed: Uint8Array): Signer {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' })
  const publicKey = createPublicKey(key)
  return {
    sign: (statement) => sign(null, Buffer.from(statement), key).toString('base64url'),
    verify: (statement, signature) =>
      verify(null, Buffer.from(statement), publicKey, Buffer.from(signature, 'base64url')),
  }
}
