import { rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { callApi, jsonBody } from '../api.ts'
import { printLines } from '../context.ts'
import { choice, defineCommand, text } from '../define-command.ts'
import { usage } from '../failure.ts'
import { project } from '../options.ts'
import { reserveSecretFile } from '../secret-output.ts'

export const createToken = defineCommand({
  arguments: ['<name>'],
  options: {
    project,
    ttl: text('--ttl <time>', 'how long it is valid: 30d, 12h, a date, or never (default)'),
    description: text('--description <text>', 'for people'),
    tokenFile: text('--token-file <file>', 'write the secret into this new file (0600), not to the terminal'),
    output: choice('-o, --output <format>', 'how to print it', ['text', 'json']),
  },
  about: 'The secret is shown this once; the daemon keeps a digest only. In json it is the field `secret`.',
  examples: [
    'castellan create token laptop -p demo --ttl 30d',
    'castellan create token ci -p demo --token-file ci.token',
  ],
  async run({ args: [name = ''], options: given, target, context }) {
    const { project, ttl, description, tokenFile } = given
    if (project === undefined) throw usage('a token belongs to a project', 'add: -p PROJECT')
    const keep = tokenFile === undefined ? undefined : await reserveSecretFile(context.cwd, tokenFile)
    const manifest = {
      apiVersion: 'castellan/v1',
      kind: 'Token',
      metadata: { name, project },
      spec: { ...(ttl === undefined ? {} : { ttl }), ...(description === undefined ? {} : { description }) },
    }
    let created: Created | undefined
    try {
      const answer = await callApi(target(), ['tokens'], {
        method: 'POST',
        query: { project },
        body: jsonBody(manifest),
      })
      created = JSON.parse(answer) as Created
    } finally {
      await keep?.(created === undefined ? '' : `${created.secret}\n`)
      if (tokenFile !== undefined && keep !== undefined && created === undefined)
        await rm(resolve(context.cwd, tokenFile))
    }
    const { secret, ...rest } = created
    if (given.output === 'json')
      printLines(context.stdout, [JSON.stringify(keep === undefined ? created : rest, null, 2)])
    else {
      // The secret alone on standard output, so that it can be captured.
      printLines(context.stderr, [
        `token/${name} created (project ${project}); its secret is shown this once`,
      ])
      if (keep === undefined) printLines(context.stdout, [secret])
    }
    return 0
  },
})

interface Created {
  readonly secret: string
}
