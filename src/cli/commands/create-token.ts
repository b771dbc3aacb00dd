import { rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { callApi, jsonBody } from '../api.ts'
import { BINDING_FORM, parseSubjectOption } from '../binding-options.ts'
import { printLines } from '../context.ts'
import { choice, defineCommand, flag, list, text } from '../define-command.ts'
import { CliFailure, usage } from '../failure.ts'
import { project } from '../options.ts'
import { reserveSecretFile } from '../secret-output.ts'
import type { Target } from '../target.ts'
import { tokenBindings } from '../token-rights.ts'

export const createToken = defineCommand({
  arguments: ['<name>'],
  options: {
    project,
    ttl: text('--ttl <time>', 'how long it is valid: 30d, 12h, a date, or never (default)'),
    rbac: choice(
      '--rbac <rights>',
      'rights to begin with: none, or a copy of yours in the project (default: to use the project)',
      ['empty', 'clone'],
    ),
    bind: list('--bind <binding>', `a right in the project: ${BINDING_FORM}; repeatable`),
    owner: text('--for <subject>', 'whose it is: ServiceAccount:nightly, or a User (default: yours)'),
    description: text('--description <text>', 'for people'),
    force: flag('--force', 'in place of one by that name, which is deleted: its secret ends'),
    tokenFile: text('--token-file <file>', 'write the secret into this new file (0600), not to the terminal'),
    output: choice('-o, --output <format>', 'how to print it', ['text', 'json']),
  },
  about:
    'The secret is shown this once: kept are a digest and, sealed, for a day, the answer to a request that is repeated. In json it is the field `secret`. A token can do nothing outside of its project, and never what its owner cannot: a right that they lose, it loses.',
  examples: [
    'castellan create token laptop -p demo --ttl 30d',
    'castellan create token ci -p demo --token-file ci.token',
    'castellan create token reader -p demo --bind role:run,resource:tools,name:github__get_*',
    'castellan create token nightly -p demo --for ServiceAccount:nightly',
  ],
  async run({ args: [name = ''], options: given, target, context }) {
    const { project, tokenFile, rbac, bind, owner } = given
    if (project === undefined)
      throw usage('a token belongs to a project', 'add: -p PROJECT; castellan get projects lists them')
    const { ttl, description } = given
    const spec = {
      ttl,
      description,
      owner: owner === undefined ? undefined : parseSubjectOption('--for', owner),
      bindings: await tokenBindings(target, { project, rbac, bind }),
    }
    const keep = tokenFile === undefined ? undefined : await reserveSecretFile(context.cwd, tokenFile)
    let created: Created | undefined
    let replaced = false
    try {
      replaced = given.force && (await makeRoom(target(), { name, project, spec }))
      created = await create(target(), { name, project, spec })
    } catch (error) {
      if (replaced) printLines(context.stderr, [`token/${name} deleted, and none was made in its place`])
      throw error
    } finally {
      await keep?.(created === undefined ? '' : `${created.secret}\n`)
      if (tokenFile !== undefined && keep !== undefined && created === undefined)
        await rm(resolve(context.cwd, tokenFile))
    }
    const { secret, ...rest } = created
    if (given.output === 'json')
      printLines(context.stdout, [JSON.stringify(keep === undefined ? created : rest, null, 2)])
    else {
      const done = replaced ? 'replaced, and the secret of the one before is refused' : 'created'
      // The secret alone on standard output, so that it can be captured.
      printLines(context.stderr, [
        `token/${name} ${done} (project ${project}); its secret is ${keep === undefined ? 'shown this once' : 'in the file'}`,
        ...(given.owner === undefined
          ? []
          : [`it can do no more than ${given.owner} may: castellan describe token ${name} -p ${project}`]),
      ])
      if (keep === undefined) printLines(context.stdout, [secret])
    }
    return 0
  },
})

interface Created {
  readonly secret: string
}

interface NewToken {
  readonly name: string
  readonly project: string
  readonly spec: object
}

const manifestOf = ({ name, project, spec }: NewToken): object => ({
  apiVersion: 'castellan/v1',
  kind: 'Token',
  metadata: { name, project },
  spec,
})

const create = async (target: Target, token: NewToken): Promise<Created> =>
  JSON.parse(
    await callApi(target, ['tokens'], {
      method: 'POST',
      query: { project: token.project },
      body: jsonBody(manifestOf(token)),
      once: true,
    }),
  ) as Created

/**
 * Deletes the token by that name, if there is one. Whether the other could be made is tried before, under a name that
 * nobody has: what is refused must cost nothing.
 *
 * @returns whether there was one
 */
async function makeRoom(target: Target, { name, project, spec }: NewToken): Promise<boolean> {
  const path = ['tokens', name]
  const found = await callApi(target, path, { query: { project } }).catch((error: unknown) => {
    if (error instanceof CliFailure && error.body.code === 'not_found') return undefined
    throw error
  })
  if (found === undefined) return false
  const { randomBytes } = await import('node:crypto')
  const trial = manifestOf({ name: `trial-${randomBytes(6).toString('hex')}`, project, spec })
  await callApi(target, ['apply'], { method: 'POST', query: { dryRun: true }, body: jsonBody(trial) })
  await callApi(target, path, { method: 'DELETE', query: { project } })
  return true
}
