import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { runVerify } from '../audit/command-verify.ts'
import { chainFolder } from '../audit/postgres/chain-folder.ts'
import { recordPath } from '../audit/record-file.ts'
import { verifyRecord } from '../audit/verify-file.ts'
import type { VerifyKeys, VerifyReport } from '../audit/verify.ts'
import type { CliContext } from '../cli/context.ts'
import { choice, defineCommand, text } from '../cli/define-command.ts'
import { unavailable } from '../cli/failure.ts'
import { homeOf } from '../cli/target.ts'
import { deriveKey } from '../secrets/derive-key.ts'
import type { KeyRows } from '../store/master-key.ts'
import { readSqliteKeys } from '../store/sqlite/read-keys.ts'
import { readDatabase } from './config.ts'
import { readKeyChoice } from './keys/key-options.ts'
import { openOfflineKey, type OfflineKey } from './keys/offline-keys.ts'

export const auditVerify = defineCommand({
  options: {
    database: text('--database <url>', 'postgres://…: every chain of this database, too'),
    anchors: text('--anchors <file>', 'anchors that were kept elsewhere: they are to hold as well'),
    keyFile: text('--key-file <file>', 'the master key (default: master.key in the home)'),
    output: choice('-o, --output <format>', 'how to print it', ['text', 'json']),
  },
  globals: ['home'],
  about:
    'Reads the files of the home, and the database where one is given; daemons may run meanwhile. Exit status: 0 as it was written, 1 not so.',
  examples: [
    'castellan audit verify',
    'castellan audit verify --home /srv/castellan -o json',
    'castellan audit verify --database postgres://castellan@db.example.com/castellan --anchors kept.jsonl',
  ],
  async run({ options, home: given, context }) {
    const home = homeOf(context, given)
    const { keyFile } = options
    const chosen = readKeyChoice({ keyFile, keyCommand: undefined, keyKeychain: undefined }, context)
    const key = await openOfflineKey({
      home,
      keyFile: chosen.keyFile,
      given: chosen.masterKey,
      command: chosen.keyCommand,
      keychain: chosen.keychain,
    })
    const database = readDatabase(options.database, context.env)
    const witness = readWitness(options.anchors, context)
    return runVerify({
      verify: () => verifyAll({ home, database, witness, key }),
      output: options.output,
      write: (lines) => context.stdout.write(lines),
    })
  },
})

function readWitness(path: string | undefined, { cwd }: CliContext): string | undefined {
  if (path === undefined) return undefined
  try {
    return readFileSync(resolve(cwd, path), 'utf8')
  } catch (cause) {
    throw unavailable(
      'the file with the anchors cannot be read',
      `check --anchors: ${(cause as Error).message}`,
    )
  }
}

interface Wanted {
  readonly home: string
  readonly database: string | undefined
  readonly witness: string | undefined
  readonly key: OfflineKey
}

/** A home may hold a record of its own from the time before it had a database: it is part of what happened. */
async function verifyAll({ home, database, witness, key }: Wanted): Promise<VerifyReport[]> {
  const inHome = existsSync(recordPath(home))
  const ofHome = (): VerifyKeys => verifyKeys(key, readSqliteKeys(home))
  if (database === undefined) {
    if (!inHome && existsSync(chainFolder(home)))
      throw unavailable(
        'the record of this home is in a database',
        'give its address with --database or, with a password, in CASTELLAN_DATABASE',
      )
    return [await verifyRecord({ home, chain: 'daemon', witness, ...ofHome() })]
  }
  const { verifyDatabase } = await import('../audit/postgres/verify-database.ts')
  const { readPostgresKeys } = await import('../store/postgres/read-keys.ts')
  const keys = verifyKeys(key, await readPostgresKeys(database))
  const shared = await verifyDatabase({ databaseUrl: database, home, witness, ...keys })
  return inHome ? [await verifyRecord({ home, chain: 'daemon', ...ofHome() }), ...shared] : shared
}

function verifyKeys(key: OfflineKey, rows: KeyRows | undefined): VerifyKeys {
  const storeKey = key.storeKey(rows)
  return { macKey: deriveKey(storeKey, 'audit-mac'), signKey: deriveKey(storeKey, 'audit-sign') }
}
