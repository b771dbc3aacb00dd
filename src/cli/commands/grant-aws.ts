import { defineCommand, text } from '../define-command.ts'
import { usage } from '../failure.ts'
import { giveFromProvider } from '../granting/give-from-provider.ts'
import { GIVE_OPTIONS } from '../granting/give-options.ts'

export const grantAws = defineCommand({
  options: {
    role: text('--role <arn>', 'the role that is assumed: arn:aws:iam::ACCOUNT:role/NAME'),
    region: text('--region <region>', 'default: that of the profile'),
    sessionDuration: text('--session-duration <time>', 'how long its credentials live: 15m (default) to 12h'),
    externalId: text('--external-id <id>', 'what the role demands of whoever assumes it'),
    awsProfile: text(
      '--aws-profile <name>',
      'the profile of the AWS command line that assumes it (default: AWS_PROFILE)',
    ),
    ...GIVE_OPTIONS,
  },
  about:
    'Nothing secret is stored: the daemon assumes the role with what the aws command of its machine has. What it gets is short-lived, real, and enters the sandbox of the run.',
  examples: [
    'castellan grant aws --role arn:aws:iam::123456789012:role/agents --region eu-central-1',
    'castellan grant aws --role arn:aws:iam::123456789012:role/agents --aws-profile work --session-duration 1h',
  ],
  async run({ options: given, target, context }) {
    const { role, region, sessionDuration, externalId, awsProfile, ...more } = given
    if (role === undefined) throw usage('the role is missing', 'add: --role arn:aws:iam::ACCOUNT:role/NAME')
    const fields = Object.entries({ role, region, sessionDuration, externalId, awsProfile })
    await giveFromProvider(
      {
        word: 'aws',
        host: undefined,
        urls: [],
        from: undefined,
        given: new Map(fields.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))),
        ask: [],
        yes: true,
        ...more,
      },
      { target: target(), context },
    )
    return 0
  },
})
