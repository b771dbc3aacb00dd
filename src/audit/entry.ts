/**
 * What the record says of one request. The *intent* (who, what, decision) is written while the call travels; the
 * *outcome* follows in a later segment and names the intent. Neither holds arguments, results or credentials.
 */
export interface Intent {
  readonly type: 'intent'
  /** Unique over all lives of all daemons: `<boot epoch>-<counter>`. */
  readonly id: string
  readonly atMs: number
  /** What happened, from a closed vocabulary: an MCP method (`tools/call`), or a verb on a kind (`create secrets`). */
  readonly event: string
  /** `Principal.key` and a readable name. */
  readonly principal: string
  readonly principalName: string
  /** Name of the person behind the call: the caller, or whoever owns the token. */
  readonly user?: string | undefined
  /** Name of the token that was shown. */
  readonly token?: string | undefined
  /** SHA-256 of the credential that was shown, in hex, as the store keeps it: a token that is made again differs. */
  readonly tokenSha?: string | undefined
  /** Impersonation: key of the principal that acts; `principal` is the one acted as. */
  readonly actor?: string | undefined
  readonly project?: string | undefined
  readonly server?: string | undefined
  /** Tool, prompt or resource (its URI), or the name of the changed object. At most 512 characters. */
  readonly target?: string | undefined
  /** Name of the grant that is sent with it, and where: `authorization`, `?api_key`. Never its value. */
  readonly grant?: string | undefined
  readonly injected?: string | undefined
  /** Session id of a legacy client, digested: enough to group by, useless to steal. */
  readonly session?: string | undefined
  readonly decision: 'allow' | 'deny'
  /** For a denial: the fault code and what decided. */
  readonly reason?: string | undefined
}

export interface Outcome {
  readonly type: 'outcome'
  /** `Intent.id` */
  readonly of: string
  readonly atMs: number
  /** `lost`: forwarded, and no answer came. `tool-error`: a result with `isError`. */
  readonly status: 'ok' | 'tool-error' | 'error' | 'cancelled' | 'lost'
  readonly durationMs: number
  /** JSON-RPC or fault code where there is one. */
  readonly code?: string | undefined
  /** Of an `initialize`: the session that it opened, as `Intent.session`. */
  readonly session?: string | undefined
}

/** Written once the disk takes entries again: how many calls were answered while it did not. */
export interface Gap {
  readonly type: 'gap'
  readonly atMs: number
  readonly sinceMs: number
  readonly entriesLost: number
}

/** Refusals before a principal was known: counted, not chained one by one. */
export interface Refusals extends RefusedAttempt {
  readonly type: 'refusals'
  readonly atMs: number
  readonly source: string
  readonly reason: string
  readonly count: number
}

/** What was tried by somebody who is not known, where that is more than a request. */
export interface RefusedAttempt {
  /** As `Intent.event`: `sign-in local`. */
  readonly event?: string | undefined
  /** Digest of the account that was named: enough to see that it is the same one, useless to learn its name. */
  readonly account?: string | undefined
}

/** How far another chain of a shared record was, as its newest anchor says. */
export interface SeenTip {
  readonly chain: string
  readonly seq: number
  /** Of that segment, base64url. */
  readonly mac: string
}

/** What the writer of this chain has seen of the others. */
export interface Tips {
  readonly type: 'tips'
  readonly atMs: number
  readonly tips: readonly SeenTip[]
  /** ed25519 over the chain that this is in and the other fields, base64url. */
  readonly sig: string
}

export type Entry = Intent | Outcome | Gap | Refusals | Tips

/** The group of entries that is committed together. */
export interface Segment {
  /** Set once the commit has succeeded: lets the hot path skip a promise. */
  readonly committed: boolean
  /** Resolves true when it is on disk, false when the commit failed. Never rejects. */
  readonly durable: Promise<boolean>
}

export interface Recorder {
  /** Whether entries can be taken: false after a failed commit and while the queue is over its bound. Costs nothing. */
  accepts(): boolean
  /** Queues the intent and returns the segment that it will be in. */
  intent(entry: Intent): Segment
  outcome(entry: Outcome): void
  /** Counted for each source, reason, event and account; how many of them are told apart is bounded. */
  refused(source: string, reason: string, attempt?: RefusedAttempt): void
  /** Waits until everything queued so far is committed (or has failed) and anchored. */
  flush(): Promise<void>
  close(): Promise<void>
}
