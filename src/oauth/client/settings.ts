import type { SecretValue } from '../../lib/secret-value.ts'
import { browserAddress } from './authorization.ts'
import type { AuthMethod } from './authorization-server.ts'

/** What a user can say of an authorization server, and of this daemon as its client; discovery finds the rest. */
export interface OAuthSettings {
  readonly issuer?: string | undefined
  readonly authUrl?: string | undefined
  readonly tokenUrl?: string | undefined
  readonly revocationUrl?: string | undefined
  readonly deviceUrl?: string | undefined
  readonly clientId?: string | undefined
  readonly clientSecret?: SecretValue | undefined
  /** Where no metadata says which one the authorization server wants. */
  readonly tokenAuthMethod?: Exclude<AuthMethod, 'none'> | undefined
  readonly scopes?: readonly string[] | undefined
}

/** Of one command; only the settings can stand in a file too. */
export interface OAuthFlags extends OAuthSettings {
  /** Address of a client ID metadata document, used where the authorization server takes one. */
  readonly clientMetadataUrl?: string | undefined
  /** A device code in place of a browser on this host (RFC 8628). */
  readonly device?: boolean | undefined
  /** Also where an authorization server does not say that it supports PKCE, which is used all the same. */
  readonly allowWithoutPkceAdvertised?: boolean | undefined
}

/** Where a value comes from. */
export type SettingSource = 'flag' | 'file' | 'discovery'
export type SettingSources = Readonly<Partial<Record<keyof OAuthSettings, SettingSource>>>

/** How each is called in a file and, with dashes, on a command line. */
export const SETTING_NAMES = {
  issuer: 'issuer',
  authUrl: 'auth_url',
  tokenUrl: 'token_url',
  revocationUrl: 'revocation_url',
  deviceUrl: 'device_url',
  clientId: 'client_id',
  clientSecret: 'client_secret',
  tokenAuthMethod: 'token_auth_method',
  scopes: 'scopes',
} as const satisfies Readonly<Record<keyof OAuthSettings, string>>

export const SETTINGS = Object.keys(SETTING_NAMES) as readonly (keyof OAuthSettings)[]
const ADDRESSES = ['issuer', 'authUrl', 'tokenUrl', 'revocationUrl', 'deviceUrl'] as const

/** An address that may be given by hand: https, or http on loopback; without credentials and fragment. */
export function isEndpoint(text: string): boolean {
  const url = text.length > 2048 ? undefined : browserAddress(text)
  return url !== undefined && url.username === '' && url.password === '' && url.hash === ''
}

/** MCP, "Client ID metadata documents": https, with a path. */
const isDocument = (text: string): boolean =>
  isEndpoint(text) && text.startsWith('https://') && new URL(text).pathname !== '/'

/** Setting by setting, the first that says something: flags, then the file. */
export function mergeSettings(
  flags: OAuthFlags,
  file: OAuthSettings,
): { readonly settings: OAuthSettings; readonly from: SettingSources } {
  const from = Object.fromEntries(
    SETTINGS.flatMap((name): [string, SettingSource][] => {
      if (flags[name] !== undefined) return [[name, 'flag']]
      return file[name] === undefined ? [] : [[name, 'file']]
    }),
  )
  return {
    settings: Object.fromEntries(SETTINGS.map((name) => [name, flags[name] ?? file[name]])),
    from,
  }
}

/** Hosts of addresses that somebody has written down: who may write them may also name private ones. */
export const hostsOf = (settings: OAuthSettings): ReadonlySet<string> =>
  new Set(
    ADDRESSES.flatMap((name) => {
      const address = settings[name]
      return address === undefined || !URL.canParse(address) ? [] : [new URL(address).hostname]
    }),
  )

/** Whether the settings alone tell where to go: no metadata is read then. */
export const isByHand = ({ authUrl, tokenUrl, deviceUrl }: OAuthSettings, device: boolean): boolean =>
  tokenUrl !== undefined && (device ? deviceUrl : authUrl) !== undefined

interface Case {
  readonly flags: OAuthFlags
  readonly file: OAuthSettings
  readonly all: OAuthSettings
}

const isSecretOfFile = ({ flags, file }: Case): boolean =>
  file.clientSecret !== undefined && flags.clientSecret === undefined

/** Where a client shows its secret, or what says where that is. */
const SHOWN_SECRETS = ['issuer', 'tokenUrl', 'revocationUrl', 'deviceUrl'] as const

const isElsewhere = ({ flags, file }: Case, name: (typeof SHOWN_SECRETS)[number]): boolean =>
  flags[name] !== undefined && flags[name] !== file[name]

/** What would be given and not used, or shown to somebody else: a mistake of the user, who is told (reference, A5). */
const MISTAKES: readonly (readonly [string, (one: Case) => boolean])[] = [
  [
    '--client-secret-stdin: a secret is worth nothing without --client-id',
    ({ flags, all }) => flags.clientSecret !== undefined && all.clientId === undefined,
  ],
  [
    'client_secret in the file: a secret is worth nothing without client_id',
    ({ file, all }) => file.clientSecret !== undefined && all.clientId === undefined,
  ],
  [
    'client_secret in the file: it belongs to the client_id in the file, not to the one of --client-id; give that one its own with --client-secret-stdin, or take it out of the file',
    ({ flags, file }) =>
      flags.clientId !== undefined &&
      flags.clientSecret === undefined &&
      file.clientSecret !== undefined &&
      file.clientId !== undefined &&
      file.clientId !== flags.clientId,
  ],
  [
    'client_secret in the file: say beside it whom it is for, with issuer, or with auth_url and token_url; else any server that is reached with this grant would say where it goes',
    (one) =>
      isSecretOfFile(one) && one.file.issuer === undefined && !isByHand(one.all, one.flags.device === true),
  ],
  [
    'client_secret in the file: it is for the authorization server in the file, and an option names another address of one; give a secret for that one with --client-secret-stdin',
    (one) => isSecretOfFile(one) && SHOWN_SECRETS.some((name) => isElsewhere(one, name)),
  ],
  [
    '--token-auth-method: says how a secret is sent, and there is none',
    ({ flags, all }) => flags.tokenAuthMethod !== undefined && all.clientSecret === undefined,
  ],
  [
    'token_auth_method in the file: says how a secret is sent, and there is none',
    ({ file, all }) => file.tokenAuthMethod !== undefined && all.clientSecret === undefined,
  ],
  [
    '--client-metadata-url: has no effect beside a client id, which goes first',
    ({ flags, all }) => flags.clientMetadataUrl !== undefined && all.clientId !== undefined,
  ],
  [
    '--auth-url: has no effect with --device, which needs --device-url',
    ({ flags }) => flags.authUrl !== undefined && flags.device === true,
  ],
  [
    '--device-url: has no effect without --device',
    ({ flags }) => flags.deviceUrl !== undefined && flags.device !== true,
  ],
  [
    '--allow-without-pkce-advertised: has no effect with --device, where PKCE has no place',
    ({ flags }) => flags.allowWithoutPkceAdvertised === true && flags.device === true,
  ],
  [
    '--allow-without-pkce-advertised: has no effect where the endpoints are given by hand, since no metadata is read',
    ({ flags, all }) =>
      flags.allowWithoutPkceAdvertised === true && flags.device !== true && isByHand(all, false),
  ],
]

/** @returns one public sentence for each flag and each line of the file that would have no effect, or may not be used */
export function problemsOf(flags: OAuthFlags, file: OAuthSettings): readonly string[] {
  const one: Case = { flags, file, all: mergeSettings(flags, file).settings }
  const { clientMetadataUrl: document } = flags
  const strange = ADDRESSES.filter((name) => flags[name] !== undefined && !isEndpoint(flags[name]))
  return [
    ...(document !== undefined && !isDocument(document)
      ? ['--client-metadata-url: must be an https address with a path']
      : []),
    ...strange.map((name) => `${flagOf(name)}: must be an https address, or http on loopback`),
    ...MISTAKES.filter(([, isMade]) => isMade(one)).map(([sentence]) => sentence),
  ]
}

const flagOf = (name: keyof OAuthSettings): string => `--${SETTING_NAMES[name].replaceAll('_', '-')}`
