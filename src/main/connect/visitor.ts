import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../lib/clock.ts'
import { sameText } from '../../lib/same-text.ts'
import { createCarrier } from '../../secrets/carried.ts'
import { ticketId } from './ticket.ts'

/** A browser, as its cookie names it. */
export interface Visitor {
  /** 256 random bits, base64url. Another one once somebody has signed in. */
  readonly id: string
  /** Digest of the sign-in that was made on our page, where one was. */
  readonly signIn: string | undefined
  readonly expiresMs: number
}

export interface Visitors {
  /** Undefined: it has no cookie, or one that is worth nothing (any more). */
  of(request: IncomingMessage): Visitor | undefined
  begin(): Visitor
  /** After somebody has signed in: whoever knew the old one knows nothing of this. */
  signedIn(digest: string): Visitor
  /** `Set-Cookie` */
  cookie(visitor: Visitor): string
  /** What a form has to bring back: it was ours, for this browser and this page. `about`: what it showed. */
  seal(visitor: Visitor, ticket: string, about?: string): string
  /** @returns what it was about; undefined: it is not from this page in this browser */
  opened(text: string, visitor: Visitor, ticket: string): string | undefined
}

/** So long is somebody signed in on our pages. */
export const SIGNED_IN_MS = 15 * 60_000
const VISIT_MS = 60 * 60_000

interface FormMark {
  readonly visitor: string
  readonly ticket: string
  readonly about: string
}

/** @param key the same at all daemons of a database @param secure browsers reach us by https */
export function createVisitors(
  key: Buffer,
  { nowMs }: Pick<Clock, 'nowMs'>,
  secure: () => boolean,
): Visitors {
  const cookies = createCarrier(key, 'ccv1.')
  const forms = createCarrier(key, 'ccf1.')
  const name = (): string => (secure() ? '__Host-castellan' : 'castellan')
  const make = (signIn: string | undefined, forMs: number): Visitor => ({
    id: randomBytes(32).toString('base64url'),
    signIn,
    expiresMs: nowMs() + forMs,
  })
  return {
    of(request) {
      const text = cookieOf(request, name())
      const visitor = text === undefined ? undefined : (cookies.open(text) as Visitor | undefined)
      return visitor !== undefined && visitor.expiresMs > nowMs() ? visitor : undefined
    },
    begin: () => make(undefined, VISIT_MS),
    signedIn: (digest) => make(digest, SIGNED_IN_MS),
    cookie(visitor) {
      const seconds = Math.max(0, Math.floor((visitor.expiresMs - nowMs()) / 1000))
      const parts = [`${name()}=${cookies.seal(visitor)}`, 'Path=/', 'HttpOnly', 'SameSite=Lax']
      return [...parts, `Max-Age=${seconds}`, ...(secure() ? ['Secure'] : [])].join('; ')
    },
    seal: ({ id }, ticket, about = '') =>
      forms.seal({ visitor: id, ticket: ticketId(ticket), about } satisfies FormMark),
    opened(text, visitor, ticket) {
      const mark = forms.open(text) as FormMark | undefined
      if (mark === undefined) return undefined
      const isOurs = sameText(mark.visitor, visitor.id) && sameText(mark.ticket, ticketId(ticket))
      return isOurs ? mark.about : undefined
    },
  }
}

/** The first of that name: a browser sends the one with the longer path before it. */
function cookieOf({ headers }: IncomingMessage, name: string): string | undefined {
  for (const part of (headers.cookie ?? '').split(';')) {
    const [key = '', value = ''] = part.trim().split('=', 2)
    if (key === name) return value
  }
  return undefined
}
