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

const keyPlace = header('x-goog-api-key')

export const gemini = defineProvider({
  id: 'gemini',
  aliases: ['google'],
  title: 'Gemini',
  description: 'An API key, or the login of Gemini CLI.',
  fields: [
    optional(secretField('key', 'Gemini API key')),
    optional(secretField('token', 'Access token of Gemini CLI')),
    optional(secretField('refreshToken', 'Refresh token of Gemini CLI')),
    optional(secretField('clientSecret', 'Client secret of Gemini CLI')),
  ],
  oneOf: ['key', 'token'],
  origins: ['https://generativelanguage.googleapis.com', 'https://cloudcode-pa.googleapis.com'],
  injections: [
    inject('key', ['generativelanguage.googleapis.com'], keyPlace),
    // The stub of a login never runs out, so that Gemini CLI has no reason to renew it: nothing is replaced in bodies.
    inject('token', ['cloudcode-pa.googleapis.com'], bearer),
  ],
  sees: [
    variable('GEMINI_API_KEY', alphanumeric('AIza', 39)),
    { as: 'file', path: '.gemini/oauth_creds.json', stub: alphanumeric('ya29.', 200) },
  ],
  sources: [
    { kind: 'reader', name: 'gemini-login', fields: ['token', 'refreshToken'] },
    { kind: 'env', names: ['GEMINI_API_KEY', 'GOOGLE_API_KEY'], field: 'key' },
    { kind: 'prompt', field: 'key' },
  ],
  validations: [
    // Google answers 400 to a key that it does not know.
    validate({
      field: 'key',
      url: 'https://generativelanguage.googleapis.com/v1beta/models?pageSize=1',
      place: keyPlace,
      invalid: [400, 401, 403],
    }),
    validate({
      field: 'token',
      method: 'POST',
      url: 'https://cloudcode-pa.googleapis.com/v1internal:loadCodeAssist',
      place: bearer,
      headers: { 'content-type': 'application/json' },
      body: '{"metadata":{"pluginType":"GEMINI"}}',
    }),
  ],
  refresh: {
    tokenEndpoint: 'https://oauth2.googleapis.com/token',
    encoding: 'form',
    // Google wants the secret that Gemini CLI comes with; it belongs to Google, so it is given with the login.
    parameters: {
      grant_type: 'refresh_token',
      refresh_token: '{refreshToken}',
      client_id: '681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com',
      client_secret: '{clientSecret}',
    },
    needs: ['refreshToken', 'clientSecret'],
    everySeconds: 45 * 60,
  },
})
