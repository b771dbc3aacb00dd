import { createHmac, hash, timingSafeEqual } from 'node:crypto'

/** What a request between processes says of itself, in one header. */
export interface PeerClaim {
  /** Boot epochs: who sends it, and for whom it is meant. An address may have passed to another process. */
  readonly from: string
  readonly to: string
  /** Wall clock of the sender, ms. */
  readonly atMs: number
  readonly nonce: string
  /** SHA-256 of the body, base64url. */
  readonly digest: string
}

/** The ways between processes, each authenticated with a key that only those with the same master key have. */
export interface PeerSigner {
  /** The header of a request. */
  sign(path: string, claim: PeerClaim): string
  /** Undefined: not written by somebody who has the key, or not for this path. */
  read(path: string, header: string | undefined): PeerClaim | undefined
  /** One line of an answer: bound to the request by its nonce, and to its place by `n`. */
  signLine(about: { readonly nonce: string; readonly n: number }, content: string): string
  /** The content of such a line; undefined: it is not authentic. */
  readLine(about: { readonly nonce: string; readonly n: number }, line: string): string | undefined
}

export const PEER_HEADER = 'castellan-peer'

const HEADER =
  /^from=([\w-]{1,32}); to=([\w-]{1,32}); at=(\d{1,15}); nonce=([\w-]{22}); digest=([\w-]{43}); mac=([\w-]{43})$/
const MAC_CHARS = 43

export const digestOf = (body: string | Buffer): string => hash('sha256', body, 'base64url')

export function createPeerSigner(key: Buffer): PeerSigner {
  const mac = (...parts: readonly string[]): string => {
    const hmac = createHmac('sha256', key)
    // Each part with its length before it: no two lists give the same bytes.
    for (const part of parts) hmac.update(`${Buffer.byteLength(part)}:`).update(part)
    return hmac.digest('base64url')
  }
  const macOf = (path: string, { from, to, atMs, nonce, digest }: PeerClaim): string =>
    mac('castellan/v1/peer-request', 'POST', path, from, to, String(atMs), nonce, digest)
  const macOfLine = (nonce: string, n: number, content: string): string =>
    mac('castellan/v1/peer-line', nonce, String(n), content)

  return {
    sign(path, claim) {
      const { from, to, atMs, nonce, digest } = claim
      return `from=${from}; to=${to}; at=${atMs}; nonce=${nonce}; digest=${digest}; mac=${macOf(path, claim)}`
    },
    read(path, header) {
      const parts = HEADER.exec(header ?? '')
      if (parts === null) return undefined
      const [, from = '', to = '', at = '', nonce = '', digest = '', given = ''] = parts
      const claim = { from, to, atMs: Number(at), nonce, digest }
      return isEqual(given, macOf(path, claim)) ? claim : undefined
    },
    signLine: ({ nonce, n }, content) => macOfLine(nonce, n, content) + content,
    readLine({ nonce, n }, line) {
      const content = line.slice(MAC_CHARS)
      return isEqual(line.slice(0, MAC_CHARS), macOfLine(nonce, n, content)) ? content : undefined
    },
  }
}

/** In a time that tells nothing of where they differ. */
function isEqual(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}
