import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { runVerify } from '../audit/command-verify.ts'
import { choice, defineCommand, text } from '../cli/define-command.ts'
import { unavailable } from '../cli/failure.ts'
import { homeOf } from '../cli/target.ts'
import { deriveKey } from '../secrets/derive-key.ts'
import { loadMasterKey } from '../secrets/master-key.ts'
import { readKeyChoice } from './config.ts'

export const auditVerify = defineCommand({
  options: {
    keyFile: text('--key-file <file>', 'the master key (default: master.key in the home)'),
    output: choice('-o, --output <format>', 'how to print it', ['text', 'json']),
  },
  about:
    'Reads the files of the home; a daemon may run meanwhile. Exit status: 0 as it was written, 1 not so.',
  examples: ['castellan audit verify', 'castellan audit verify --home /srv/castellan -o json'],
  async run({ options, home: given, context }) {
    const home = homeOf(context, given)
    const { keyFile, masterKey } = readKeyChoice(options.keyFile, context)
    // Loading would make a key where there is none; to verify with a new key would only confuse.
    if (masterKey === undefined && !existsSync(keyFile ?? join(home, 'master.key')))
      throw unavailable(
        'there is no master key, so the record cannot be checked',
        'name the home with --home, or the key with --key-file',
      )
    const { master } = await loadMasterKey({ home, keyFile, given: masterKey, usedWith: [] })
    return runVerify({
      home,
      chain: 'daemon',
      macKey: deriveKey(master, 'audit-mac'),
      signKey: deriveKey(master, 'audit-sign'),
      output: options.output,
      write: (lines) => context.stdout.write(lines),
    })
  },
})
