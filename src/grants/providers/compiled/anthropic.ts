import {
  alphanumeric,
  bearer,
  defineProvider,
  header,
  inject,
  optional,
  secretField,
  validate,
  variable,
} from '../define-provider.ts'

const HOSTS = ['api.anthropic.com']
const ORIGINS = ['https://api.anthropic.com']
const VERSION = { 'anthropic-version': '2023-06-01' }
const OAUTH = { 'anthropic-beta': 'oauth-2025-04-20' }

export const anthropic = defineProvider({
  id: 'anthropic',
  title: 'Anthropic API key',
  description: 'Claude, paid by use.',
  fields: [
    secretField('token', 'Anthropic API key', {
      pattern: /^sk-ant-(?!oat|ort)/,
      hint: 'is no API key: those begin with sk-ant-api; for a Claude subscription: castellan grant claude',
    }),
  ],
  origins: ORIGINS,
  injections: [inject('token', HOSTS, header('x-api-key'))],
  sees: [variable('ANTHROPIC_API_KEY', alphanumeric('sk-ant-api03-', 108))],
  sources: [
    { kind: 'env', names: ['ANTHROPIC_API_KEY'], field: 'token' },
    { kind: 'prompt', field: 'token' },
  ],
  validations: [
    validate({
      field: 'token',
      url: 'https://api.anthropic.com/v1/models',
      place: header('x-api-key'),
      headers: VERSION,
    }),
  ],
})

export const claude = defineProvider({
  id: 'claude',
  aliases: ['claude-code'],
  title: 'Claude subscription',
  description: 'The login of Claude Code: what `claude setup-token` prints, or the login of this machine.',
  fields: [
    secretField('token', 'Claude token, from claude setup-token', {
      pattern: /^sk-ant-oat/,
      hint: 'is no login: those begin with sk-ant-oat; for an API key: castellan grant anthropic',
    }),
    optional(
      secretField('refreshToken', 'Refresh token', {
        pattern: /^sk-ant-ort/,
        hint: 'is no refresh token: those begin with sk-ant-ort',
      }),
    ),
  ],
  origins: ORIGINS,
  injections: [inject('token', HOSTS, bearer, { adds: OAUTH, removes: ['x-api-key'] })],
  sees: [{ as: 'file', path: '.claude/.credentials.json', stub: alphanumeric('sk-ant-oat01-', 108) }],
  sources: [
    { kind: 'env', names: ['CLAUDE_CODE_OAUTH_TOKEN'], field: 'token' },
    { kind: 'reader', name: 'claude-login', fields: ['token', 'refreshToken'] },
    { kind: 'prompt', field: 'token' },
  ],
  validations: [
    // An empty question is refused with 400 after the credential was taken, and costs nothing.
    validate({
      field: 'token',
      method: 'POST',
      url: 'https://api.anthropic.com/v1/messages',
      place: bearer,
      headers: { ...VERSION, ...OAUTH, 'content-type': 'application/json' },
      body: '{}',
      valid: [200, 400],
    }),
  ],
  refresh: {
    tokenEndpoint: 'https://platform.claude.com/v1/oauth/token',
    encoding: 'json',
    parameters: {
      grant_type: 'refresh_token',
      refresh_token: '{refreshToken}',
      client_id: '9d1c250a-e61b-44d9-88ed-5944d1962f5e',
    },
    needs: ['refreshToken'],
  },
})
