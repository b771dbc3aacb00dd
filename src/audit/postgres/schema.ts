import { RARE_DECISION, RARE_KIND } from '../readings.ts'
import { RecordRefused, type Query } from './session.ts'

/** Counted up with the tables; a database of a newer version is refused. */
const VERSION = 3

/** `pg_advisory_xact_lock` key: any number that nobody else is likely to use in this database. */
const LOCK_KEY = 74_117_412

// Chain names sort by their bytes. `n` of a call is made of its segment and its place in it, so it follows the chain.
const CALLS = `
  CREATE TABLE audit_calls (
    chain text COLLATE "C" NOT NULL, n bigint NOT NULL, at_ms bigint NOT NULL, id text NOT NULL, event text NOT NULL,
    principal text COLLATE "C" NOT NULL, principal_name text COLLATE "C" NOT NULL, project text COLLATE "C",
    server text, target text COLLATE "C", session text, decision text NOT NULL, reason text, status text,
    duration_ms double precision, code text, count bigint, user_name text COLLATE "C", token_name text COLLATE "C",
    token_sha text COLLATE "C", actor text COLLATE "C", kind text COLLATE "C" NOT NULL,
    grant_name text COLLATE "C", injected text, PRIMARY KEY (chain, n)
  );
  CREATE INDEX audit_calls_by_time ON audit_calls (at_ms);
  CREATE INDEX audit_calls_by_project ON audit_calls (project, at_ms);
  CREATE INDEX audit_calls_by_principal ON audit_calls (principal, at_ms);
  CREATE INDEX audit_calls_by_principal_name ON audit_calls (principal_name, at_ms);
  CREATE INDEX audit_calls_by_target ON audit_calls (target, at_ms);
  CREATE INDEX audit_calls_by_actor ON audit_calls (actor, at_ms) WHERE actor IS NOT NULL;
  CREATE INDEX audit_calls_by_grant ON audit_calls (grant_name, at_ms) WHERE grant_name IS NOT NULL;
  CREATE INDEX audit_calls_by_kind ON audit_calls (kind, at_ms) WHERE ${RARE_KIND};
  CREATE INDEX audit_calls_by_decision ON audit_calls (decision, at_ms) WHERE ${RARE_DECISION};
  CREATE INDEX audit_calls_open ON audit_calls (id) WHERE status IS NULL;
  CREATE TABLE audit_callers (
    principal text COLLATE "C" NOT NULL, user_name text COLLATE "C" NOT NULL, token_name text COLLATE "C" NOT NULL,
    token_sha text COLLATE "C" NOT NULL, PRIMARY KEY (principal, user_name, token_name, token_sha)
  );`

const SCHEMA = `
  CREATE TABLE audit_schema (version integer NOT NULL);
  INSERT INTO audit_schema VALUES (${VERSION});
  CREATE TABLE audit_chains (name text COLLATE "C" PRIMARY KEY, anchor text);
  CREATE TABLE audit_segments (
    chain text COLLATE "C" NOT NULL, seq bigint NOT NULL, count bigint NOT NULL, first_at_ms bigint NOT NULL,
    last_at_ms bigint NOT NULL, mac bytea NOT NULL, body text NOT NULL, PRIMARY KEY (chain, seq)
  );
  CREATE TABLE audit_checkpoints (
    chain text COLLATE "C" NOT NULL, to_seq bigint NOT NULL, content text NOT NULL, sig text NOT NULL,
    PRIMARY KEY (chain, to_seq)
  );
  CREATE TABLE audit_filled (
    chain text COLLATE "C" PRIMARY KEY, seq bigint NOT NULL, mac bytea NOT NULL
  );
  ${CALLS}`

/**
 * The index of an older version is made again from the segments, which stay as they are. A daemon of that version that
 * still runs goes on writing its chain; only its listing waits for its own upgrade. Locked in the order in which
 * `fillSlice` locks.
 */
const RENEW_INDEX = `
  LOCK TABLE audit_filled IN EXCLUSIVE MODE;
  DELETE FROM audit_filled;
  DROP TABLE IF EXISTS audit_calls, audit_callers;
  ${CALLS}
  UPDATE audit_schema SET version = ${VERSION}`

/** @returns the version of the tables, undefined where there are none */
export async function schemaVersion(query: Query): Promise<number | undefined> {
  const [there] = await query<{ there: boolean }>(`SELECT to_regclass('audit_schema') IS NOT NULL AS there`)
  if (there?.there !== true) return undefined
  const [row] = await query<{ version: number }>('SELECT version FROM audit_schema')
  return row?.version
}

/** Makes the tables of the record where there are none: of several daemons that start together, one does. */
export async function ensureSchema(query: Query): Promise<void> {
  await query(`SELECT pg_advisory_xact_lock(${LOCK_KEY})`)
  const version = await schemaVersion(query)
  if (version === undefined) await query(SCHEMA)
  else if (version < VERSION) await query(RENEW_INDEX)
  else if (version > VERSION)
    throw new RecordRefused('newer', 'the record was written by a newer version of Castellan')
}
