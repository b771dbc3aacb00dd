import { err, ok, type Result } from '../lib/result.ts'
import { SecretValue } from '../lib/secret-value.ts'
import { readScopes } from '../oauth/client/challenge.ts'
import { isEndpoint, SETTING_NAMES, SETTINGS, type OAuthSettings } from '../oauth/client/settings.ts'
import type { Check } from './providers/checks.ts'
import { readStrictly, type FieldShape, type Shape } from './providers/strict-yaml.ts'

const endpoint: Check = (text) =>
  isEndpoint(text) ? undefined : 'must be an https address, or http on loopback'
const visible: Check = (text) =>
  /^[\x20-\x7e]+$/.test(text) ? undefined : 'must be one line of visible characters'
const method: Check = (text) =>
  text === 'client_secret_basic' || text === 'client_secret_post'
    ? undefined
    : 'must be client_secret_basic or client_secret_post'
const scope: Check = (text) => (readScopes(text)[0] === text ? undefined : 'must be one scope')

const ADDRESS: FieldShape = { is: 'text', max: 2048, check: endpoint }
const FIELDS: Readonly<Record<keyof OAuthSettings, FieldShape>> = {
  issuer: ADDRESS,
  authUrl: ADDRESS,
  tokenUrl: ADDRESS,
  revocationUrl: ADDRESS,
  deviceUrl: ADDRESS,
  clientId: { is: 'text', max: 2048, check: visible },
  clientSecret: { is: 'text', max: 4096, check: visible },
  tokenAuthMethod: { is: 'text', max: 32, check: method },
  scopes: { is: 'list', max: 256, of: { is: 'text', max: 256, check: scope } },
}

const SHAPE: Shape = {
  is: 'fields',
  fields: Object.fromEntries(SETTINGS.map((name) => [SETTING_NAMES[name], FIELDS[name]])),
}

/**
 * Reads `oauth/NAME.yaml` of the home: `auth_url`, `token_url`, `client_id`, `client_secret`, `scopes` and what else
 * `SETTING_NAMES` has.
 *
 * @param file its name, which stands before each problem
 * @returns all problems at once, as `notion.yaml:3:1: …`; none repeats a value
 */
export async function readOAuthFile(
  text: string,
  file: string,
): Promise<Result<OAuthSettings, readonly string[]>> {
  const { value, problems } = await readStrictly(text, SHAPE, file)
  if (problems.length > 0) return err(problems)
  const fields = value as Readonly<Record<string, unknown>>
  const settings = SETTINGS.map((name) => [name, fields[SETTING_NAMES[name]]] as const)
  return ok(
    Object.fromEntries(
      settings
        .filter(([, given]) => given !== undefined)
        .map(([name, given]) => [name, name === 'clientSecret' ? new SecretValue(given as string) : given]),
    ),
  )
}
