import type { Kysely, Transaction } from 'kysely'

/*
 * Rows as they are in both databases: times are integer milliseconds, JSON is text, and `''` stands for "none" where
 * a column is part of a key (NULL is never equal to NULL, so it cannot be part of one).
 */

/** What is configured. Shared by every node that works on one database. */
export interface ControlTables {
  readonly resources: ResourceRow
  readonly revision: RevisionRow
  readonly changes: ChangeRow
  readonly sealed: SealedRow
  readonly tokens: TokenRow
  readonly master_key: MasterKeyRow
  readonly key_rotation: KeyRotationRow
  readonly retired_keys: RetiredKeyRow
  readonly key_holders: KeyHolderRow
  readonly grants: GrantRow
  readonly grant_secrets: SealedRow
  readonly grant_changes: GrantChangeRow
  readonly answers: AnswerRow
}

/** What is going on: written often, and worth nothing without the configuration. */
export interface StateTables {
  readonly sessions: SessionRow
  readonly token_uses: TokenUseRow
  readonly peers: PeerRow
  readonly upstream_sessions: UpstreamSessionRow
  readonly leases: LeaseRow
  readonly sign_in_attempts: SignInAttemptRow
  readonly grant_attempts: GrantAttemptRow
}

export type ControlDb = Kysely<ControlTables>
/** An open transaction on the configuration. */
export type ControlTransaction = Transaction<ControlTables>
export type StateDb = Kysely<StateTables>

export interface ResourceRow {
  readonly uid: string
  readonly kind: string
  /** `''` for a kind of global scope. */
  readonly project: string
  readonly name: string
  /** Counts changes of `spec`, from 1. */
  readonly generation: number
  /** JSON text, as are the next three. */
  readonly labels: string
  readonly annotations: string
  readonly spec: string
  readonly status: string
  readonly created_at_ms: number
  readonly updated_at_ms: number
  /** Of the transaction that wrote this row last. */
  readonly revision: number
}

/** The one row that every changing transaction updates: revisions are therefore in commit order, which no sequence is. */
interface RevisionRow {
  readonly id: 1
  readonly value: number
}

export interface ChangeRow {
  readonly revision: number
  readonly uid: string
  readonly kind: string
  readonly project: string
  readonly name: string
  /** The last thing that the transaction did to it. */
  readonly operation: 'insert' | 'replace' | 'remove'
  readonly at_ms: number
}

/** One value of a resource, sealed (`secrets/sealing.ts`). Goes away with its resource. */
export interface SealedRow {
  readonly uid: string
  /** Which of the resource's values: the key in a Secret's `data`. */
  readonly field: string
  /** The master key that wrapped the data key. */
  readonly key_id: string
  /** Base64, as are the next two. */
  readonly wrapped_key: string
  readonly nonce: string
  readonly ciphertext: string
}

/** The one row that says which master key this store is used with, from the first start on. */
export interface MasterKeyRow {
  readonly id: number
  readonly key_id: string
  /** What outlives a master key, wrapped by this one (`secrets/keys/wrap.ts`); `''`: not made yet. */
  readonly store_key: string
  /** 0: before this was noted. */
  readonly since_ms: number
}

/** The one row, while a master key takes the place of another. */
export interface KeyRotationRow {
  readonly id: number
  readonly old_key: string
  readonly new_key: string
  readonly phase: 'announced' | 'sealing'
  /** Each key wrapped by the other. */
  readonly new_under_old: string
  readonly old_under_new: string
  /** 1: the old key is left at its place when all is done. */
  readonly keep_old: number
  /** Since when the old one was in use. */
  readonly old_since_ms: number
  readonly begun_at_ms: number
}

/** A master key that nothing is sealed with any more, and nothing ever will be. */
export interface RetiredKeyRow {
  readonly id: string
  readonly since_ms: number
  readonly retired_at_ms: number
  readonly keep_old: number
}

/** A daemon, and the master keys that it has. */
export interface KeyHolderRow {
  /** Its boot epoch. */
  readonly node: string
  readonly host: string
  /** Where it has its key from. */
  readonly source: string
  /** Id of the key that is there. */
  readonly starts_with: string
  /** Ids of the newest key that it can open with, and of the one that it seals with; `''`: it has not said. */
  readonly knows: string
  readonly seals_with: string
  /** Goes up as long as it lives. */
  readonly beat: number
}

/** A credential that others issued to us, but for its secrets, which are in `grant_secrets`. */
export interface GrantRow {
  readonly uid: string
  /** Of profile, holder and name: what tells it from every other. */
  readonly key: string
  readonly profile: string
  /** Whose it is; `''` is everybody's. */
  readonly holder: string
  /** `oauth:notion` */
  readonly name: string
  /** The Server that it was given for, or `''`. */
  readonly server: string
  /** JSON text: the only ones that it is sent to. */
  readonly origins: string
  /** JSON text: all that is no secret. */
  readonly state: string
  /** Counts its changes, from 1. */
  readonly version: number
  readonly updated_at_ms: number
}

/** A grant that processes must not go on with as they know it. */
export interface GrantChangeRow {
  readonly seq: number
  /** Of the grant. */
  readonly key: string
  readonly at_ms: number
}

/** An authorization between its request and its answer; sealed (`secrets/sealing.ts`). */
export interface GrantAttemptRow {
  readonly id: string
  readonly state_digest: string
  readonly result: 'waiting' | 'taken' | 'done' | 'failed'
  readonly problem: string
  readonly expires_at_ms: number
  readonly key_id: string
  readonly wrapped_key: string
  readonly nonce: string
  readonly ciphertext: string
}

/** What a Token is recognised by. Goes away with its resource. */
export interface TokenRow {
  readonly uid: string
  /** SHA-256 of the secret, hex. */
  readonly digest: string
  /** First characters of the secret: for people. */
  readonly prefix: string
  readonly expires_at_ms: number | null
}

export interface TokenUseRow {
  readonly uid: string
  readonly used_at_ms: number
}

/** An answer that a client may ask for again; sealed (`secrets/sealing.ts`). */
export interface AnswerRow {
  /** SHA-256 of principal and key. */
  readonly id: string
  readonly principal: string
  /** SHA-256 of the request. */
  readonly digest: string
  readonly bytes: number
  readonly key_id: string
  readonly wrapped_key: string
  readonly nonce: string
  readonly ciphertext: string
  readonly given_at_ms: number
}

/** A legacy MCP session of a client with us. */
export interface SessionRow {
  readonly id: string
  /** `Principal.key` of its owner. */
  readonly principal: string
  readonly project: string
  /** `''`: the aggregated endpoint. */
  readonly server: string
  readonly protocol_version: string
  /** JSON text: what the client said of itself (`clientInfo`, `capabilities`). */
  readonly client: string
  readonly log_level: string | null
  /** JSON text: `[[server, uri], …]` */
  readonly subscriptions: string
  readonly created_at_ms: number
  readonly seen_at_ms: number
}

/** A process that works on this database, and where the others reach it. */
export interface PeerRow {
  /** Its boot epoch. */
  readonly node: string
  readonly url: string
  /** Goes up as long as it lives. */
  readonly beat: number
  /** For people: the name of its host; `''`: it has said none. */
  readonly host: string
}

/** What only one process does at a time, and who that is. */
export interface LeaseRow {
  readonly name: string
  /** The boot epoch of the process that does it. */
  readonly holder: string
  /** Goes up as long as it does. */
  readonly beat: number
}

/** A session that a process of ours has at a legacy server; its id there is sealed (`secrets/sealing.ts`). */
export interface UpstreamSessionRow {
  readonly uid: string
  /** The boot epoch of the process that has it, or has taken it over to end it. */
  readonly node: string
  readonly server: string
  readonly server_uid: string
  /** The only place that its id may be sent to. */
  readonly url: string
  readonly protocol_version: string
  readonly key_id: string
  readonly wrapped_key: string
  readonly nonce: string
  readonly ciphertext: string
  readonly opened_at_ms: number
}

/** Somebody has come back from an identity provider; who that is, is sealed until the command line asks for it. */
export interface SignInAttemptRow {
  readonly id: string
  /** SHA-256 of the code that the browser was given, hex. */
  readonly code_digest: string
  readonly state: 'ready' | 'used'
  /** How often somebody has tried to finish it. */
  readonly tries: number
  readonly expires_at_ms: number
  readonly key_id: string
  readonly wrapped_key: string
  readonly nonce: string
  readonly ciphertext: string
}
