import { callApi } from '../api.ts'
import { printLines, printText } from '../context.ts'
import { choice, defineCommand, flag, text } from '../define-command.ts'
import { CliFailure, usage } from '../failure.ts'

export const grantList = defineCommand({
  options: {
    mine: flag('--mine', 'your own, that is your connections'),
    all: flag('--all', 'those of everybody (default, for whoever may list them; else your own)'),
    profile: text('--profile <name>', 'only this set of grants'),
    output: choice('-o, --output <format>', 'how to print it', ['table', 'wide', 'json']),
  },
  about:
    'Which grants there are, for what, until when, and what is wrong with which; no credential is shown.',
  examples: ['castellan grant list', 'castellan grant list --mine', 'castellan grant list --all -o wide'],
  async run({ options: { mine, all, profile, output = 'table' }, target, context }) {
    if (mine && all) throw usage('--mine and --all are two lists', 'give one of them')
    const ask = (whose: string | undefined): Promise<string> =>
      callApi(target(), ['grants'], { query: { output, for: whose, profile } })
    printText(context.stdout, await ask(mine ? 'me' : all ? 'all' : undefined).catch(orOwn))
    return 0

    /** Not everybody may look at those of others. */
    async function orOwn(thrown: unknown): Promise<string> {
      if (mine || all || !(thrown instanceof CliFailure) || thrown.body.code !== 'forbidden') throw thrown
      const own = await ask('me').catch(() => undefined)
      if (own === undefined) throw thrown
      printLines(context.stderr, ['your own; you may not list those of others'])
      return own
    }
  },
})
