import { Fault } from '../../lib/fault.ts'
import { readAnchor } from '../anchors.ts'
import { archiveDirectory } from '../archive.ts'
import type { SegmentRow } from '../chain.ts'
import type { SettledReader } from '../record.ts'
import { verifyChain, type ChainSource, type VerifyKeys, type VerifyReport } from '../verify.ts'
import { createSigner } from '../signer.ts'
import { anchorTexts } from '../verify-file.ts'
import { createSightings, verifySightings } from '../verify-tips.ts'
import { chainFolder, readChainName } from './chain-folder.ts'
import { readChain } from './chain-rows.ts'
import { schemaVersion } from './schema.ts'
import { createSession, SessionFailure, type Query, type Session } from './session.ts'

export interface VerifyDatabaseOptions extends VerifyKeys {
  readonly databaseUrl: string
  /** Home of one of the daemons: its anchors and archive files vouch for its own chain. */
  readonly home: string
  /** Lines of anchor files kept elsewhere, of any chains. */
  readonly witness?: string | undefined
}

const STATEMENT_MS = 60_000

/**
 * Verifies every chain of a database. The chain of this home is held against its anchors and archive; the others
 * against the newest anchor that their daemons left in the database, against the signed checkpoints of archives, and
 * all of them against what they say of each other.
 * @throws Fault `unavailable` when the database cannot be reached, or has no record
 */
export async function verifyDatabase(options: VerifyDatabaseOptions): Promise<VerifyReport[]> {
  const session = createSession({ url: options.databaseUrl, statementMs: STATEMENT_MS })
  try {
    const own = readChainName(options.home)
    const reports: VerifyReport[] = []
    const sightings = createSightings()
    const read = async ({ name, anchor }: ChainRow): Promise<void> => {
      const passed = (row: SegmentRow): void => sightings.take(name, row)
      reports.push(await verifyChain(sourceOf(session, { ...options, name, anchor, own }), options, passed))
    }
    for (const chain of await listChains(session, [own, ...witnessed(options.witness)])) await read(chain)
    // Of a chain that was removed altogether the others still tell.
    const known = new Set(reports.map(({ chain }) => chain))
    for (const name of sightings.chains()) if (!known.has(name)) await read({ name, anchor: null })
    return await verifySightings(sightings, reports, {
      signer: createSigner(options.signKey),
      readerOf: (chain) => readChain(session.query, chain),
    })
  } catch (error) {
    if (!(error instanceof SessionFailure)) throw error
    throw new Fault('unavailable', { hint: `${error.message}: nothing was verified`, cause: error })
  } finally {
    await session.close()
  }
}

interface ChainRow {
  readonly name: string
  readonly anchor: string | null
}

/** Those that are listed, those that have segments and are not, and those that ought to be there. */
async function listChains({ query }: Session, wanted: readonly (string | undefined)[]): Promise<ChainRow[]> {
  if ((await schemaVersion(query)) === undefined)
    throw new Fault('unavailable', { hint: 'this database has no audit record: check its address' })
  const listed = await query<ChainRow & { anchor: string | null }>('SELECT name, anchor FROM audit_chains')
  const written = await query<{ name: string }>(
    `SELECT chain AS name FROM audit_segments GROUP BY chain
     UNION SELECT chain FROM audit_checkpoints GROUP BY chain`,
  )
  const there = [...listed, ...written].map(({ name }) => name)
  const all = new Set([...wanted.filter((name) => name !== undefined), ...there])
  return [...all].sort().map((name) => ({
    name,
    anchor: listed.find((row) => row.name === name)?.anchor ?? null,
  }))
}

function sourceOf(
  session: Session,
  { home, witness, own, name, anchor }: VerifyDatabaseOptions & ChainRow & { own: string | undefined },
): ChainSource {
  const folder = name === own ? chainFolder(home) : undefined
  return {
    chain: name,
    open: () => settledReader(session, name),
    anchors: () => [
      ...(anchor === null ? [] : [[`${anchor}\n`, 'audit_chains'] as const]),
      ...(folder === undefined ? [] : anchorTexts(folder, undefined)),
      ...(witness === undefined ? [] : [[linesOf(name, witness), 'the anchors given'] as const]),
    ],
    archive: folder === undefined ? undefined : archiveDirectory(folder),
    place: 'record in the database',
  }
}

function settledReader(session: Session, chain: string): SettledReader {
  let query: Query = session.query
  return {
    ...readChain((text, values) => query(text, values), chain),
    snapshot: (read) =>
      session.transaction('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', (within) => {
        query = within
        return read()
      }),
    close: () => undefined,
  }
}

/** The lines of one chain, and those that no chain can be read of: they are nobody's anchors. */
const linesOf = (chain: string, text: string): string =>
  text
    .split('\n')
    .filter((line) => line !== '' && (chainOf(line) ?? chain) === chain)
    .map((line) => `${line}\n`)
    .join('')

const chainOf = (line: string): string | undefined => readAnchor(line)?.chain

/** The chains that anchors which were kept elsewhere tell of. */
const witnessed = (text = ''): (string | undefined)[] => text.split('\n').map(chainOf)
