import { callApi } from '../api.ts'
import { printLines, type CliContext } from '../context.ts'
import { changeConfig } from '../contexts/change-config.ts'
import { configPath, type ContextRecord } from '../contexts/config-file.ts'
import { credentialOf } from '../contexts/credentials.ts'
import { dropCredential } from '../contexts/keep-credential.ts'
import { defineCommand } from '../define-command.ts'
import { CliFailure, usage } from '../failure.ts'
import { contextInUse } from '../target.ts'

export const logout = defineCommand({
  options: {},
  globals: ['context'],
  about:
    'Ends the sign-in at the daemon and forgets the credential. The context stays, and castellan login signs in again.',
  examples: ['castellan logout', 'castellan logout --context work'],
  async run({ globals, context }) {
    const found = contextInUse(context, globals)
    if (found === undefined)
      throw usage(
        'the administrator of the host does not sign in or out',
        'name a context: castellan logout --context NAME; castellan config get-contexts lists them',
      )
    const { name, record } = found
    if (record.credential === 'none') {
      printLines(context.stdout, [`context ${name} is not signed in`])
      return 0
    }
    const refusal = await endAtDaemon(name, record, context)
    changeConfig(configPath(context), ({ contexts }) => {
      contexts.set(name, { url: record.url, project: record.project, credential: 'none' })
    })
    const left = dropCredential(name, record, context)
    printLines(context.stdout, [`context ${name} is signed out`])
    if (left !== undefined) printLines(context.stderr, [`its credential was not found: ${left}`])
    if (refusal === undefined) return 0
    printLines(context.stderr, [`the daemon was not told (${refusal}): there it ends ${endOf(record)}`])
    return 1
  },
})

const endOf = ({ expiresAt }: ContextRecord): string =>
  expiresAt === undefined ? 'by itself' : `at ${expiresAt}`

/** Why the daemon does not know of it, in words; undefined: it does, or the sign-in had ended already. */
async function endAtDaemon(
  name: string,
  record: ContextRecord,
  context: CliContext,
): Promise<string | undefined> {
  try {
    const credential = credentialOf(name, record, context)
    if (credential === undefined) return undefined
    await callApi({ url: new URL(record.url), credential }, ['auth', 'logout'], { method: 'POST' })
    return undefined
  } catch (error) {
    if (!(error instanceof CliFailure)) throw error
    return error.body.code === 'unauthenticated' ? undefined : error.message
  }
}
