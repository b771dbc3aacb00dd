import {
  bearer,
  defineProvider,
  inject,
  optional,
  secretField,
  shownField,
  validate,
} from '../define-provider.ts'

const place = bearer

export const meta = defineProvider({
  id: 'meta',
  aliases: ['facebook'],
  title: 'Meta',
  description:
    'The Graph API of Facebook and Instagram. With the id and the secret of the app it is renewed daily.',
  fields: [
    secretField('token', 'Meta access token'),
    optional(
      shownField('appId', 'App id', { pattern: /^\d{5,20}$/, hint: 'must be the digits of an app id' }),
    ),
    optional(secretField('appSecret', 'App secret')),
  ],
  origins: ['https://graph.facebook.com', 'https://graph.instagram.com'],
  injections: [inject('token', ['graph.facebook.com', 'graph.instagram.com'], bearer)],
  sources: [
    { kind: 'env', names: ['META_ACCESS_TOKEN'], field: 'token' },
    { kind: 'prompt', field: 'token' },
  ],
  // A token of one is refused by the other: it works if one of them takes it.
  validations: [
    validate({ field: 'token', url: 'https://graph.facebook.com/me?fields=id', place, invalid: [400, 401] }),
    validate({ field: 'token', url: 'https://graph.instagram.com/me?fields=id', place, invalid: [400, 401] }),
  ],
  refresh: {
    tokenEndpoint: 'https://graph.facebook.com/oauth/access_token',
    encoding: 'form',
    parameters: {
      grant_type: 'fb_exchange_token',
      client_id: '{appId}',
      client_secret: '{appSecret}',
      fb_exchange_token: '{token}',
    },
    needs: ['appId', 'appSecret'],
    everySeconds: 24 * 60 * 60,
  },
})
