import { chmod, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { callApi, jsonBody } from '../../cli/api.ts'
import { CliFailure } from '../../cli/failure.ts'
import type { Target } from '../../cli/target.ts'
import { SecretValue } from '../../lib/secret-value.ts'

export interface KeptToken {
  /** 0600, in the home. */
  readonly file: string
  readonly token: SecretValue
  readonly origin: 'kept' | 'made' | 'renewed'
}

const NAME = 'quickstart'

/** The token of an earlier start, as long as it is valid; else a new one, kept in its file for the next. */
export async function keepToken(target: Target, home: string, project: string): Promise<KeptToken> {
  const file = join(home, 'quickstart-token')
  const kept = await readKept(file)
  const known = await readState(target, project)
  if (kept !== undefined && known?.state === 'active' && kept.startsWith(known.prefix)) {
    await chmod(file, 0o600)
    return { file, token: new SecretValue(kept), origin: 'kept' }
  }
  if (known !== undefined) await callApi(target, ['tokens', NAME], { method: 'DELETE', query: { project } })
  const made = await callApi(target, ['tokens'], {
    method: 'POST',
    body: jsonBody({
      apiVersion: 'castellan/v1',
      kind: 'Token',
      metadata: { name: NAME, project },
      spec: { description: 'Made by npm start; kept in quickstart-token in the home.' },
    }),
  })
  const { secret } = JSON.parse(made) as { readonly secret: string }
  const aside = `${file}.${process.pid}`
  await writeFile(aside, `${secret}\n`, { mode: 0o600 })
  await rename(aside, file)
  return { file, token: new SecretValue(secret), origin: known === undefined ? 'made' : 'renewed' }
}

async function readKept(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

interface TokenState {
  readonly state: 'active' | 'expired' | 'revoked'
  readonly prefix: string
}

async function readState(target: Target, project: string): Promise<TokenState | undefined> {
  try {
    const token = await callApi(target, ['tokens', NAME], { query: { project, output: 'json' } })
    return (JSON.parse(token) as { readonly status: TokenState }).status
  } catch (error) {
    if (error instanceof CliFailure && error.body.code === 'not_found') return undefined
    throw error
  }
}
