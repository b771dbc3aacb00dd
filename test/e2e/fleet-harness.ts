import { join } from 'node:path'
import { makeHome, removeHome, startDaemon, type Daemon, type DaemonOptions } from '../fixtures/daemon.ts'
import { findEmbeddedPostgres, startPostgres, type TestPostgres } from '../fixtures/postgres.ts'
import { createToken, endpoint, type Access } from './gateway-harness.ts'

/** Two daemons on one PostgreSQL, with one master key. */
export interface Fleet {
  readonly postgres: TestPostgres
  readonly database: string
  readonly keyFile: string
  readonly a: Daemon
  readonly b: Daemon
  /** One more on the same database, in a home of its own. */
  another(options?: DaemonOptions): Promise<Daemon>
  end(): Promise<void>
}

export async function startFleet(options: DaemonOptions = {}): Promise<Fleet> {
  const postgres = await startPostgres(await findEmbeddedPostgres())
  const undo: (() => Promise<void>)[] = [() => postgres.close()]
  const end = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) await step()
  }
  try {
    const keys = await makeHome()
    undo.push(() => removeHome(keys))
    const database = await postgres.createDatabase('fleet')
    const keyFile = join(keys, 'master.key')
    const another = async (more: DaemonOptions = {}): Promise<Daemon> => {
      const home = await makeHome()
      undo.push(() => removeHome(home))
      const daemon = await startDaemon(home, 0, { database, keyFile, ...options, ...more })
      undo.push(() => daemon.stop())
      return daemon
    }
    const a = await another()
    const b = await another()
    return { postgres, database, keyFile, a, b, another, end }
  } catch (thrown) {
    await end()
    throw thrown
  }
}

/** The same project, token and server at two daemons. */
export async function accessAtBoth(
  { a, b }: Pick<Fleet, 'a' | 'b'>,
  project: string,
  token = 'both',
): Promise<{ readonly atA: Access; readonly atB: Access }> {
  const secret = await createToken(a, project, token)
  return {
    atA: { url: endpoint(a, project), token: secret },
    atB: { url: endpoint(b, project), token: secret },
  }
}
