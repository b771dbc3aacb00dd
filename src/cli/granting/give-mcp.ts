import { printLines, type CliContext } from '../context.ts'
import { CliFailure, usage } from '../failure.ts'
import type { Target } from '../target.ts'
import { acquire } from './acquire.ts'
import { giveGrant } from './give-grant.ts'
import { qualifierOf } from './grant-word.ts'
import { holderOf, type HolderChoice, type HolderQuery } from './holder-options.ts'
import type { Provider } from './provider.ts'
import { readOrigins } from './read-origins.ts'
import { authSnippet, readServerAuth, type ServerAuth } from './server-auth.ts'

/** The key of one MCP server, as the command line says it. */
export interface McpGrant extends HolderChoice {
  readonly word: string
  readonly server: string | undefined
  readonly urls: readonly string[]
  readonly stdin: boolean
  readonly noTest: boolean
  readonly force: boolean
  readonly output: 'text' | 'json' | undefined
}

/** What there is to ask for; the daemon has no more to say of it. */
const keyOf = (server: string | undefined): Provider => ({
  id: 'mcp',
  aliases: [],
  title: 'the server',
  description: '',
  qualifier: { name: 'name', example: 'context7' },
  fields: [
    { name: 'token', prompt: `Key of the server ${server ?? ''}`.trimEnd(), secret: true, optional: false },
  ],
  oneOf: [],
  sources: [{ kind: 'prompt', field: 'token' }],
  origins: [],
  runsOnly: false,
})

/** @throws CliFailure */
export async function giveMcpGrant(
  asked: McpGrant,
  at: { readonly target: () => Target; readonly context: CliContext },
): Promise<void> {
  const { context } = at
  const qualifier = qualifierOf('mcp', asked.word)
  const holder = holderOf(asked)
  if (asked.server !== undefined && asked.urls.length > 0)
    throw usage('it is said twice what it is for', 'give either --server or --url')
  const origins = asked.urls.length === 0 ? undefined : readOrigins(asked.urls)
  const server = origins === undefined ? (asked.server ?? qualifier) : undefined
  const target = at.target()
  // Before anybody types a secret that there is no use for.
  if (server !== undefined) await readServerAuth(target, server).catch(orSayWhich)
  const from = asked.stdin ? 'stdin' : 'prompt'
  const acquired = await acquire(
    keyOf(server),
    { from, qualifier, given: new Map(), ask: [], yes: false },
    { context, target },
  )
  const name = `mcp:${qualifier}`
  const { usedBy } = await giveGrant(
    target,
    { name, acquired, holder, server, origins, force: asked.force },
    { context, test: !asked.noTest, json: asked.output === 'json' },
  )
  if (server === undefined ? usedBy.length > 0 : usedBy.includes(server)) return
  printLines(context.stderr, [
    `${server === undefined ? 'a server uses it' : `server/${server} uses it`} with this in its manifest; auth.header names the header, if it is not Authorization:`,
    ...authSnippet(name, { profile: holder.profile, whose: whoseOf(holder) }),
  ])
}

/** Who may give a key need not see the server that it is for. */
function orSayWhich(thrown: unknown): void {
  if (!(thrown instanceof CliFailure)) throw thrown
  if (thrown.body.code === 'forbidden') return
  if (thrown.body.code !== 'not_found') throw thrown
  throw usage(
    'there is no server by that name',
    'say what the key is for: --server NAME, or --url URL where there is no server yet',
  )
}

const whoseOf = ({ for: of }: HolderQuery): ServerAuth['whose'] =>
  of === undefined ? undefined : of.startsWith('project:') ? 'per-project' : 'per-user'
