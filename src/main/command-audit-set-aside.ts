import { runSetAside } from '../audit/command-set-aside.ts'
import { defineCommand } from '../cli/define-command.ts'
import { homeOf } from '../cli/target.ts'

export const auditSetAside = defineCommand({
  options: {},
  about:
    'For a record that does not verify: moves it into a folder of the home, where it can still be verified. The next start begins a new one that names the folder. Refused while a daemon runs.',
  examples: ['castellan audit set-aside', 'castellan audit set-aside --home /srv/castellan'],
  async run({ home, context }) {
    runSetAside({
      home: homeOf(context, home),
      nowMs: Date.now(),
      write: (text) => context.stdout.write(text),
    })
    return 0
  },
})
