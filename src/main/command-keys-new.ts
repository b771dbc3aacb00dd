import { resolve } from 'node:path'
import { defineCommand, text } from '../cli/define-command.ts'
import { printLines } from '../cli/context.ts'
import { unavailable, usage } from '../cli/failure.ts'
import { newMasterKey } from '../secrets/keys/key.ts'
import { writeNewKeyFile } from '../secrets/keys/key-file.ts'

export const keysNew = defineCommand({
  options: { out: text('--out <file>', 'the file to make; only you can read it') },
  globals: [],
  about:
    'No daemon knows it yet: put it where a daemon has its key from, or give it with castellan keys rotate --to FILE.',
  examples: ['castellan keys new --out next.key'],
  async run({ options: { out }, context }) {
    if (out === undefined) throw usage('the file is missing', 'add: --out FILE')
    const master = newMasterKey()
    const isNew = await writeNewKeyFile(resolve(context.cwd, out), master).catch((cause: Error) => {
      throw unavailable('the file cannot be written', `check --out: ${cause.message}`)
    })
    if (!isNew) throw unavailable('there is a file by that name', 'choose another with --out')
    printLines(context.stdout, [master.id])
    return 0
  },
})
