import { SecretValue } from '../../lib/secret-value.ts'
import { isEndpoint, SETTING_NAMES, type OAuthSettings } from '../../oauth/client/settings.ts'
import { readStrictly, type Shape } from './strict-yaml.ts'

const endpoint: Shape = {
  is: 'text',
  max: 2048,
  check: (text) => (isEndpoint(text) ? undefined : 'must be an https address, or http on loopback'),
}
const visible = (max: number): Shape => ({
  is: 'text',
  max,
  check: (text) => (/^[\x21-\x7e]+$/.test(text) ? undefined : 'must be visible ASCII characters'),
})
const scope: Shape = {
  is: 'text',
  max: 256,
  check: (text) => (/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(text) ? undefined : 'must be a scope'),
}
const METHODS = ['client_secret_basic', 'client_secret_post']

const SHAPE: Shape = {
  is: 'fields',
  fields: {
    issuer: endpoint,
    auth_url: endpoint,
    token_url: endpoint,
    revocation_url: endpoint,
    device_url: endpoint,
    client_id: visible(2048),
    client_secret: visible(4096),
    token_auth_method: {
      is: 'text',
      max: 40,
      check: (text) => (METHODS.includes(text) ? undefined : `must be ${METHODS.join(' or ')}`),
    },
    scopes: { is: 'list', max: 256, of: scope },
  },
}

/** `oauth/NAME.yaml`: what an operator says of an authorization server; every problem with its place. */
export async function readOAuthFile(
  text: string,
  file: string,
): Promise<{ readonly settings: OAuthSettings; readonly problems: readonly string[] }> {
  const { value = {}, problems } = await readStrictly(text, SHAPE, file)
  const found = value as Readonly<Record<string, string | readonly string[]>>
  const settings = Object.fromEntries(
    Object.entries(SETTING_NAMES).flatMap(([name, written]) => {
      const given = found[written]
      if (given === undefined) return []
      return [[name, name === 'clientSecret' && typeof given === 'string' ? new SecretValue(given) : given]]
    }),
  ) as OAuthSettings
  return { settings, problems }
}
