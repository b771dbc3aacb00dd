import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll } from 'vitest'
import { chainFolder, readChainName } from '../../src/audit/postgres/chain-folder.ts'
import { verifyDatabase } from '../../src/audit/postgres/verify-database.ts'
import type { AuditRecorder, RecorderOptions } from '../../src/audit/recorder.ts'
import type { VerifyReport } from '../../src/audit/verify.ts'
import { findEmbeddedPostgres, startPostgres, type TestPostgres } from '../fixtures/postgres.ts'
import { freshHome, keys, openTest, verifyTest } from './audit-fixture.ts'

/** A record of one daemon, wherever it lies. */
export interface RecordPlace {
  readonly home: string
  /** Where its lock, its anchors and its archive are. */
  readonly folder: string
  open(options?: Partial<RecorderOptions>): Promise<AuditRecorder>
  /** What `castellan audit verify` says of its chain. */
  verify(options?: Partial<typeof keys & { readonly witness: string }>): Promise<VerifyReport>
  /** Statements behind the back of its writer, on tables `segments` and `checkpoints` with the columns of the file. */
  sql(text: string): Promise<void>
  /** Whatever is committed fails until the answer is called. */
  blockCommits(): Promise<() => Promise<void>>
  /** The same record once more, apart from this one. Nobody may have it open. */
  copy(): Promise<RecordPlace>
}

export interface Places {
  readonly name: string
  fresh(): Promise<RecordPlace>
}

/** Homes that go away with the test file. */
const homes: string[] = []
const home = (): string => {
  const made = freshHome()
  homes.push(made)
  return made
}
const removeHomes = (): void => {
  for (const made of homes.splice(0)) rmSync(made, { recursive: true, force: true })
}

export function sqlitePlaces(): Places {
  afterAll(removeHomes)
  return { name: 'SQLite', fresh: () => Promise.resolve(sqlitePlace(home())) }
}

function sqlitePlace(at: string): RecordPlace {
  const connect = (): DatabaseSync => new DatabaseSync(join(at, 'audit.db'))
  return {
    home: at,
    folder: at,
    open: (options) => openTest(at, options),
    verify: (options) => verifyTest(at, options),
    sql(text) {
      const db = connect()
      db.exec(text)
      db.close()
      return Promise.resolve()
    },
    blockCommits() {
      const db = connect()
      db.exec('BEGIN IMMEDIATE')
      return Promise.resolve(() => Promise.resolve(db.close()))
    },
    copy() {
      const to = home()
      cpSync(at, to, { recursive: true })
      return Promise.resolve(sqlitePlace(to))
    },
  }
}

/** A server for the test file, a database for each place. */
export function postgresPlaces(): Places {
  let server: Promise<TestPostgres> | undefined
  let databases = 0
  afterAll(async () => {
    await (await server)?.close()
    removeHomes()
  })
  const start = async (): Promise<TestPostgres> => startPostgres(await findEmbeddedPostgres())
  const nextName = (): string => `record_${databases++}`

  function place(postgres: TestPostgres, name: string, at: string): RecordPlace {
    const database = { url: postgres.url(name), environment: {} }
    return {
      home: at,
      folder: chainFolder(at),
      open: (options) => openTest(at, { database, ...options }),
      async verify(options) {
        const reports = await verifyDatabase({ databaseUrl: database.url, home: at, ...keys, ...options })
        const own = reports.find(({ chain }) => chain === readChainName(at))
        if (own === undefined || reports.length !== 1) throw new Error('this database has one chain')
        return own
      },
      async sql(text) {
        const chain = readChainName(at) ?? ''
        await postgres.query(
          name,
          `CREATE SCHEMA IF NOT EXISTS tamper; SET search_path = tamper, public;
          CREATE OR REPLACE VIEW segments AS SELECT * FROM audit_segments;
          ALTER VIEW segments ALTER COLUMN chain SET DEFAULT '${chain}';
          CREATE OR REPLACE VIEW checkpoints AS SELECT * FROM audit_checkpoints; ${text}`,
        )
      },
      async blockCommits() {
        await postgres.query(name, 'ALTER TABLE audit_segments RENAME TO hidden')
        return async () => {
          await postgres.query(name, 'ALTER TABLE hidden RENAME TO audit_segments')
        }
      },
      async copy() {
        const to = home()
        cpSync(at, to, { recursive: true })
        const copied = nextName()
        await postgres.query('postgres', `CREATE DATABASE ${copied} TEMPLATE ${name}`)
        return place(postgres, copied, to)
      },
    }
  }

  return {
    name: 'PostgreSQL',
    async fresh() {
      server ??= start()
      const postgres = await server
      const name = nextName()
      await postgres.createDatabase(name)
      return place(postgres, name, home())
    },
  }
}
