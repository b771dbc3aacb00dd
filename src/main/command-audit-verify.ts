import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { runVerify } from '../audit/command-verify.ts'
import { choice, defineCommand, text } from '../cli/define-command.ts'
import { unavailable } from '../cli/failure.ts'
import { homeOf } from '../cli/target.ts'
import { deriveKey } from '../secrets/derive-key.ts'
import { loadMasterKey } from '../secrets/master-key.ts'

export const auditVerify = defineCommand({
  options: {
    keyFile: text('--key-file <file>', 'the master key (default: master.key in the home)'),
    output: choice('-o, --output <format>', 'how to print it', ['text', 'json']),
  },
  about:
    'Reads the files of the home; a daemon may run meanwhile. Exit status: 0 as it was written, 1 not so.',
  examples: ['castellan audit verify', 'castellan audit verify --home /srv/castellan -o json'],
  async run({ options: { keyFile, output }, home: given, context }) {
    const home = homeOf(context, given)
    const chosen = keyFile ?? context.env['CASTELLAN_KEY_FILE']
    const path =
      chosen === undefined || chosen === '' ? join(home, 'master.key') : resolve(context.cwd, chosen)
    // Loading would make a key where there is none; to verify with a new key would only confuse.
    if (!existsSync(path))
      throw unavailable(
        'there is no master key, so the record cannot be checked',
        'name the home with --home, or the key with --key-file',
      )
    const master = await loadMasterKey({ home, keyFile: path, sealedWith: [] })
    return runVerify({
      home,
      chain: 'daemon',
      macKey: deriveKey(master, 'audit-mac'),
      signKey: deriveKey(master, 'audit-sign'),
      output,
      write: (lines) => context.stdout.write(lines),
    })
  },
})
