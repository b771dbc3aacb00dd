import { printLines } from '../context.ts'
import { choice, defineCommand } from '../define-command.ts'
import { grantWord } from '../granting/grant-word.ts'
import { HOLDER_OPTIONS, holderOf } from '../granting/holder-options.ts'
import { testGrant } from '../granting/test-grant.ts'

export const grantTest = defineCommand({
  arguments: ['<grant>'],
  complete: [{ namesOf: 'grants' }],
  options: {
    ...HOLDER_OPTIONS,
    output: choice('-o, --output <format>', 'how to print it', ['text', 'json']),
  },
  about:
    'One harmless call with it, to where it is for. Ends with status 1 when it is refused there, and with 0 when it works or that cannot be told.',
  examples: ['castellan grant test github', 'castellan grant test oauth:notion --mine'],
  async run({ args: [given = ''], options, target, context }) {
    const name = grantWord(given)
    const verdict = await testGrant(target(), name, holderOf(options))
    const { state, message } = verdict
    printLines(context.stdout, [
      options.output === 'json' ? JSON.stringify(verdict, null, 2) : `${name} ${state}: ${message}`,
    ])
    return state === 'invalid' ? 1 : 0
  },
})
