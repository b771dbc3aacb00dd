import { hash } from 'node:crypto'
import { err, ok, type Result } from '../../lib/result.ts'
import { sameText } from '../../lib/same-text.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import { mintRandom, type SignInLeg } from '../../oauth/client/sign-in.ts'
import { createCarrier } from '../../secrets/carried.ts'
import type { Sealer } from '../../secrets/sealing.ts'
import { insertAttempt, tryAttempt, useAttempt } from '../../store/sign-in-attempts.ts'
import type { SignInAttemptRow, StateDb } from '../../store/tables.ts'
import { packIssuance, unpackIssuance, type Issuance, type PlainIssuance } from '../exchange/issuance.ts'
import type { Identity } from './identity.ts'

/**
 * A sign-in at a provider, between the command line that began it, the browser, and the command line again.
 *
 * Whoever begins one and sends the address to somebody else gains nothing: the code goes to the browser that has signed
 * in, and from there to a port of that very machine or onto its screen; and it is worth something only together with the
 * verifier, whose digest was given at the beginning. So it takes both ends, and they are at two places only if the
 * person at the browser carries the code to a stranger, against which the page warns. The other way round, a code that
 * somebody sends to the port of a command line that waits belongs to another attempt, and is refused.
 */
export interface Attempts {
  /** Keeps nothing: all that has to be known later is in the state, sealed, so beginning costs us nothing. */
  begin(wanted: Omit<Begun, 'id' | 'nonce' | 'verifier' | 'expiresMs'>): { id: string; leg: SignInLeg }
  /** What a state stands for, at whichever daemon it arrives; undefined: of nothing, or too late. */
  open(state: string): { readonly begun: Begun; readonly leg: SignInLeg } | undefined
  /** @returns the code for the browser; undefined: there has been one for this attempt */
  keep(begun: Begun, answered: Answered): Promise<string | undefined>
  /** Once. @returns for the record, why not */
  finish(given: { attempt: string; code: string; verifier: string }): Promise<Result<Answered, string>>
}

/** What a provider has said. */
export interface Answered {
  readonly identity: Identity
  /** Only where it is to be kept. */
  readonly issuance: Issuance | undefined
}

/** What is known of an attempt from its beginning. */
export interface Begun {
  readonly id: string
  readonly provider: string
  /** One that is made again by the same name is another. */
  readonly providerUid: string
  readonly challenge: string
  readonly loopbackPort: number | undefined
  /** The page of ours that it was begun on, in place of a command line. */
  readonly page: string | undefined
  readonly redirectUri: string
  readonly nonce: string
  readonly verifier: string
  readonly expiresMs: number
}

export interface AttemptsDeps {
  readonly db: StateDb
  readonly sealer: Pick<Sealer, 'seal' | 'open'>
  /** The same at all daemons of a database. */
  readonly key: Buffer
  readonly nowMs: () => number
}

/** For whoever has to find a second factor first. */
const BROWSER_MS = 10 * 60_000
const CODE_MS = 5 * 60_000
const MAX_TRIES = 5
export const placeOfAttempt = (id: string) => ({ kind: 'SignInAttempt', uid: id, field: 'identity' })

export function createAttempts({ db, sealer, key, nowMs }: AttemptsDeps): Attempts {
  const carrier = createCarrier(key, 'csi1.')

  const legOf = (state: string, { nonce, verifier, redirectUri }: Begun): SignInLeg => ({
    state,
    nonce,
    verifier,
    redirectUri,
  })

  return {
    begin(wanted) {
      const id = mintRandom()
      const minted = { id, nonce: mintRandom(), verifier: mintRandom(), expiresMs: nowMs() + BROWSER_MS }
      const begun: Begun = Object.assign(minted, wanted)
      return { id, leg: legOf(carrier.seal(begun), begun) }
    },
    open(state) {
      // Nobody else can make one, so it is what was sealed.
      const begun = carrier.open(state) as Begun | undefined
      return begun === undefined || begun.expiresMs <= nowMs()
        ? undefined
        : { begun, leg: legOf(state, begun) }
    },
    async keep({ id, challenge }, { identity, issuance }) {
      const code = mintRandom()
      const plain: Plain = { challenge, identity, issuance: issuance && packIssuance(issuance) }
      const sealed = sealer.seal(placeOfAttempt(id), new SecretValue(JSON.stringify(plain)))
      const isKept = await insertAttempt(
        db,
        Object.assign({}, sealed, {
          id,
          code_digest: digest(code),
          state: 'ready' as const,
          tries: 0,
          expires_at_ms: nowMs() + CODE_MS,
        }),
      )
      return isKept ? code : undefined
    },
    async finish({ attempt, code, verifier }) {
      const row = await tryAttempt(db, attempt)
      if (row === undefined) return err('unknown')
      if (row.tries > MAX_TRIES) return err('throttled')
      if (row.expires_at_ms <= nowMs()) return err('expired')
      if (row.state !== 'ready') return err('used')
      const { challenge, identity, issuance } = openRow(sealer, row)
      // Both are looked at always: which of them was wrong takes no time to tell apart.
      const goodCode = sameText(digest(code), row.code_digest)
      const goodVerifier = sameText(hash('sha256', verifier, 'base64url'), challenge)
      if (!goodCode || !goodVerifier) return err('wrong-code')
      if (!(await useAttempt(db, attempt))) return err('used')
      return ok({ identity, issuance: issuance && unpackIssuance(issuance) })
    },
  }
}

/** As it is sealed. */
interface Plain {
  readonly challenge: string
  readonly identity: Identity
  readonly issuance?: PlainIssuance | undefined
}

const openRow = (sealer: AttemptsDeps['sealer'], row: SignInAttemptRow): Plain =>
  JSON.parse(sealer.open(placeOfAttempt(row.id), row).reveal()) as Plain

const digest = (text: string): string => hash('sha256', text, 'hex')
