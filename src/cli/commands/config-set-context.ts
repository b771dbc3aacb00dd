import { printLines } from '../context.ts'
import { changeConfig } from '../contexts/change-config.ts'
import { checkName, checkUrl, configPath } from '../contexts/config-file.ts'
import { defineCommand, text } from '../define-command.ts'
import { usage } from '../failure.ts'

export const configSetContext = defineCommand({
  arguments: ['<name>'],
  complete: ['context'],
  options: {
    url: text('--url <url>', 'the address of the daemon, or of an edge gateway'),
    project: text(
      '-p, --project <name>',
      "the project to take where none is given; '' takes it out",
      'projects',
    ),
  },
  globals: [],
  about:
    'Makes a context, or changes what is given and leaves the rest. With another address it is not signed in any more. castellan login makes one too, and signs in.',
  examples: [
    'castellan config set-context work --url https://castellan.example.com -p demo',
    'castellan config set-context work -p other',
  ],
  async run({ args: [name = ''], options: { url, project }, context }) {
    checkName(name)
    if (url === undefined && project === undefined)
      throw usage('there is nothing to set', 'add: --url URL, or -p PROJECT')
    const address = url === undefined ? undefined : checkUrl(url)
    const made = changeConfig(configPath(context), ({ contexts }) => {
      const before = contexts.get(name)
      const at = address ?? before?.url
      if (at === undefined)
        throw usage('a context needs an address', `castellan config set-context ${name} --url URL`)
      // What signed in at the one address must not be sent to the other.
      const signedIn = before?.url === at ? before : undefined
      contexts.set(name, {
        url: at,
        project: (project ?? before?.project) || undefined,
        user: signedIn?.user,
        credential: signedIn?.credential ?? 'none',
        expiresAt: signedIn?.expiresAt,
      })
      return before === undefined
    })
    printLines(context.stdout, [`context ${name} ${made ? 'created' : 'changed'}`])
    if (made) printLines(context.stderr, [`sign in with: castellan login --context ${name}`])
    return 0
  },
})
