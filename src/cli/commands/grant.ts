import { defineCommand, list, choice, text } from '../define-command.ts'
import { usage } from '../failure.ts'
import { giveFromProvider } from '../granting/give-from-provider.ts'
import { GIVE_OPTIONS, yes } from '../granting/give-options.ts'
import { pairs } from '../pair-options.ts'

/** Any provider that the daemon knows, those of files in its home among them: it describes them, nothing here does. */
export const grant = defineCommand({
  arguments: ['[provider]'],
  complete: [{ namesOf: 'providers' }],
  options: {
    from: choice(
      '--from <where>',
      'only from there: the environment, a command, a file of a login, you, standard input',
      ['env', 'cli', 'file', 'prompt', 'stdin'],
    ),
    host: text('--host <host>', 'for providers with a grant for each host, such as npm'),
    url: list('--url <url>', 'bind it to this address in place of those of the provider; repeatable'),
    set: list('--set <FIELD=VALUE>', 'a value that is no secret; repeatable'),
    ask: list('--ask <field>', 'ask for this value, too, which may be left out; repeatable'),
    yes,
    ...GIVE_OPTIONS,
  },
  about:
    'A provider says where it is found on a machine: in variables, in the login of another program. The first place that has it is taken, and named; if none has it you are asked. The value never stands in an argument and is never shown. castellan grant providers lists what there is.',
  examples: [
    'castellan grant oauth notion --server notion',
    'castellan grant mcp context7',
    'castellan grant github',
    'castellan grant claude --from file --mine',
    'castellan grant npm --host registry.example.com',
    'castellan grant gitlab --url https://gitlab.example.com',
    'pass show openai | castellan grant openai --from stdin',
    'castellan grant meta --set appId=1234567890 --ask appSecret',
  ],
  async run({ args: [word], options: given, target, context }) {
    if (word === undefined)
      throw usage('it is not said what is granted', 'castellan grant providers lists what there is')
    const { url: urls, set, ...more } = given
    await giveFromProvider({ word, urls, given: pairs('--set', set), ...more }, { target: target(), context })
    return 0
  },
})
