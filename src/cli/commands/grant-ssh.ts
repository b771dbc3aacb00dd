import { defineCommand, text } from '../define-command.ts'
import { usage } from '../failure.ts'
import { giveFromProvider } from '../granting/give-from-provider.ts'
import { GIVE_OPTIONS } from '../granting/give-options.ts'

export const grantSsh = defineCommand({
  options: {
    host: text('--host <host>', 'the host that is logged in to'),
    key: text(
      '--key <fingerprint>',
      'the key, as ssh-add -l shows it: SHA256:… (default: the only one, or you are asked)',
    ),
    ...GIVE_OPTIONS,
  },
  about:
    'The key stays in your SSH agent. What is stored is its fingerprint; a run gets an agent that signs with this key, and does nothing else.',
  examples: ['castellan grant ssh --host github.com'],
  async run({ options: given, target, context }) {
    const { host, key, ...more } = given
    if (host === undefined) throw usage('the host is missing', 'add: --host HOST')
    await giveFromProvider(
      {
        word: 'ssh',
        host,
        urls: [],
        from: undefined,
        given: new Map(key === undefined ? [] : [['key', key]]),
        ask: [],
        yes: true,
        ...more,
      },
      { target: target(), context },
    )
    return 0
  },
})
