import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { silentLog } from '../../src/lib/log.ts'
import { openStore } from '../../src/store/open.ts'
import {
  findEmbeddedPostgres,
  findInstalledPostgres,
  startPostgres,
  type TestPostgres,
} from '../fixtures/postgres.ts'
import { storeContract } from './store.ts'

describe('store on SQLite', () => {
  storeContract(async () => {
    const home = await mkdtemp(join(tmpdir(), 'castellan-store-'))
    return {
      open: () => openStore({ home }, silentLog),
      clear: () => rm(home, { recursive: true }),
    }
  })
})

/** The release that is brought along, and the one of the machine where there is one. */
const installed = await findInstalledPostgres()
const directories: (readonly [string, string])[] = [['embedded', await findEmbeddedPostgres()]]
if (installed !== undefined) directories.push(['installed', installed])

describe.each(directories)('store on PostgreSQL (%s)', (_, bin) => {
  let postgres: TestPostgres
  let databases = 0
  beforeAll(async () => {
    postgres = await startPostgres(bin)
  })
  afterAll(() => postgres.close())

  storeContract(async () => {
    const databaseUrl = await postgres.createDatabase(`store_${databases++}`)
    return {
      open: () => openStore({ home: '/nowhere', databaseUrl }, silentLog),
      clear: () => Promise.resolve(),
    }
  })
})
