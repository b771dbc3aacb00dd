import { hkdfSync } from 'node:crypto'
import type { MasterKey } from './master-key.ts'

export type KeyPurpose =
  | 'audit-mac'
  | 'audit-sign'
  | 'data-key-wrap'
  | 'peer-mac'
  | 'request-state'
  | 'sign-in'

/** A key of 32 bytes for one purpose (HKDF-SHA-256, RFC 5869): knowing it tells nothing of the master key or of another. */
export const deriveKey = (master: MasterKey, purpose: KeyPurpose): Buffer =>
  Buffer.from(hkdfSync('sha256', master.key, '', `castellan/v1/${purpose}`, 32))
