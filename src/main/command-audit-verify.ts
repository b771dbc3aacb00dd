import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
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
import { loadMasterKey } from '../secrets/master-key.ts'
import { readDatabase, readKeyChoice } from './config.ts'

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
    const { keyFile, masterKey } = readKeyChoice(options.keyFile, context)
    // Loading would make a key where there is none; to verify with a new key would only confuse.
    if (masterKey === undefined && !existsSync(keyFile ?? join(home, 'master.key')))
      throw unavailable(
        'there is no master key, so the record cannot be checked',
        'name the home with --home, or the key with --key-file',
      )
    const database = readDatabase(options.database, context.env)
    const { master } = await loadMasterKey({ home, keyFile, given: masterKey, usedWith: [] })
    const keys = { macKey: deriveKey(master, 'audit-mac'), signKey: deriveKey(master, 'audit-sign') }
    const witness = readWitness(options.anchors, context)
    return runVerify({
      verify: () => verifyAll({ home, database, witness, keys }),
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
  readonly keys: VerifyKeys
}

/** A home may hold a record of its own from the time before it had a database: it is part of what happened. */
async function verifyAll({ home, database, witness, keys }: Wanted): Promise<VerifyReport[]> {
  const inHome = existsSync(recordPath(home))
  if (database === undefined) {
    if (!inHome && existsSync(chainFolder(home)))
      throw unavailable(
        'the record of this home is in a database',
        'give its address with --database or, with a password, in CASTELLAN_DATABASE',
      )
    return [await verifyRecord({ home, chain: 'daemon', witness, ...keys })]
  }
  const { verifyDatabase } = await import('../audit/postgres/verify-database.ts')
  const shared = await verifyDatabase({ databaseUrl: database, home, witness, ...keys })
  return inHome ? [await verifyRecord({ home, chain: 'daemon', ...keys }), ...shared] : shared
}
