import { join } from 'node:path'
import { SecretValue } from '../../lib/secret-value.ts'
import { unavailable } from '../failure.ts'
import type { Reader, SourceAnswer } from './provider.ts'
import { isObject, readLoginObject } from './read-login-file.ts'

const CLAUDE = 'sign in with: claude /login; or make a token for this alone: claude setup-token'
const GEMINI = 'sign in with: gemini; or make a key at https://aistudio.google.com/apikey'

/** The login of Claude Code: `.credentials.json` in `CLAUDE_CONFIG_DIR`, by default `~/.claude`. */
export const readClaudeLogin: Reader = ({ context: { env, userHome } }) => {
  const path = join(env['CLAUDE_CONFIG_DIR'] || join(userHome, '.claude'), '.credentials.json')
  const file = readLoginObject(path, CLAUDE)
  if (file === undefined) return { found: false, says: `${path}: not there` }
  const { claudeAiOauth: login } = file
  if (!isObject(login)) return { found: false, says: `${path}: holds no login at claude.ai` }
  const { accessToken, refreshToken, expiresAt } = login
  return answerOf({ path, mend: CLAUDE, accessToken, refreshToken, expiresAtMs: expiresAt })
}

/** The login of Gemini CLI: `~/.gemini/oauth_creds.json`. */
export const readGeminiLogin: Reader = ({ context: { userHome } }) => {
  const path = join(userHome, '.gemini', 'oauth_creds.json')
  const file = readLoginObject(path, GEMINI)
  if (file === undefined) return { found: false, says: `${path}: not there` }
  const { access_token: accessToken, refresh_token: refreshToken, expiry_date: expiresAtMs } = file
  return answerOf({ path, mend: GEMINI, accessToken, refreshToken, expiresAtMs })
}

interface Login {
  readonly path: string
  readonly mend: string
  readonly accessToken: unknown
  readonly refreshToken: unknown
  readonly expiresAtMs: unknown
}

function answerOf({ path, mend, accessToken, refreshToken, expiresAtMs }: Login): SourceAnswer {
  if (typeof accessToken !== 'string' || accessToken === '')
    throw unavailable(`${path} holds no access token`, mend)
  const isRenewed = typeof refreshToken === 'string' && refreshToken !== ''
  return {
    found: true,
    says: path,
    values: new Map([
      ['token', new SecretValue(accessToken)],
      ...(isRenewed ? [['refreshToken', new SecretValue(refreshToken)] as const] : []),
    ]),
    expiresAt: dateOf(expiresAtMs),
    ...(isRenewed ? { note: SHARED } : {}),
  }
}

const SHARED =
  'this login stays in use by its own program, too; where the issuer replaces refresh tokens, the one that renews first signs the other out'

/** Milliseconds since 1970; anything that is no such number says nothing. */
function dateOf(ms: unknown): string | undefined {
  if (typeof ms !== 'number') return undefined
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString()
}
