import { hash } from 'node:crypto'
import { credentialIn } from '../access/authenticate.ts'
import { SecretValue } from '../lib/secret-value.ts'

/**
 * The credential of a caller: what every request to the control plane needs, and the only thing that an edge has to
 * send there. It is nobody's own: each is held for as long as its caller is served, and goes nowhere but there.
 */
export class Bearer {
  /** `cst_` of a Token, `css_` of a person who is signed in. */
  readonly kind: 'token' | 'sign-in'
  /** SHA-256 of the credential, lower-case hex. */
  readonly digest: string
  readonly secret: SecretValue

  /** @throws TypeError where there is no credential: a request without one must end here, and not on the wire */
  constructor(credential: string) {
    if (!/^cs[st]_./.test(credential)) throw new TypeError('a request for a caller needs their credential')
    this.kind = credential.startsWith('cst_') ? 'token' : 'sign-in'
    this.digest = hash('sha256', credential, 'hex')
    this.secret = new SecretValue(credential)
  }

  /** The header to send; made at the moment of sending (RFC 6750, 2.1). */
  authorization(): string {
    return `Bearer ${this.secret.reveal()}`
  }
}

/** Undefined: there is none in the header that an edge takes. The administrator of a host is one on that host only. */
export function bearerIn(authorization: string | undefined): Bearer | undefined {
  const credential = credentialIn(authorization)
  return credential === undefined || !/^cs[st]_/.test(credential) ? undefined : new Bearer(credential)
}
