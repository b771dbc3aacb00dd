import { hkdfSync, type KeyObject } from 'node:crypto'

export type KeyPurpose =
  | 'audit-mac'
  | 'audit-sign'
  | 'data-key-wrap'
  | 'key-wrap'
  | 'peer-mac'
  | 'request-state'
  | 'sign-in'

/** A key of 32 bytes for one purpose (HKDF-SHA-256, RFC 5869): knowing it tells nothing of the one it comes from or of another. */
export const deriveKey = (from: { readonly key: KeyObject }, purpose: KeyPurpose): Buffer =>
  Buffer.from(hkdfSync('sha256', from.key, '', `castellan/v1/${purpose}`, 32))
