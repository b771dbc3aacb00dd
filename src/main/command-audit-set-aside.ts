import { existsSync } from 'node:fs'
import { runSetAside } from '../audit/command-set-aside.ts'
import { defineCommand, text } from '../cli/define-command.ts'
import { unavailable } from '../cli/failure.ts'
import { homeOf } from '../cli/target.ts'
import { readDatabase } from './config.ts'

export const auditSetAside = defineCommand({
  options: { database: text('--database <url>', 'postgres://…, as the daemon has it') },
  globals: ['home'],
  about:
    'For a record that does not verify: moves it into a folder of the home, where it can still be verified. The next start begins a new one that names the folder. Refused while a daemon runs.',
  examples: ['castellan audit set-aside', 'castellan audit set-aside --home /srv/castellan'],
  async run({ options, home: given, context }) {
    const home = homeOf(context, given)
    if (!existsSync(home)) throw unavailable('there is no such home', 'name it with --home')
    runSetAside({
      home,
      nowMs: Date.now(),
      where: readDatabase(options.database, context.env) === undefined ? 'files' : 'database',
      write: (line) => context.stdout.write(line),
    })
    return 0
  },
})
