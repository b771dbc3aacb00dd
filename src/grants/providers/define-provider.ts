import type { SecretValue } from '../../lib/secret-value.ts'

/** What follows the colon of a grant's id: `npm:registry.example.com`, `mcp:context7`. */
export interface Qualifier {
  readonly name: 'name' | 'host'
  readonly example: string
  /** Meant when none is given. */
  readonly default?: string
}

/** One value that a grant of this provider consists of. */
export interface Field {
  readonly name: string
  /** What a person is asked for, without a colon at its end. */
  readonly prompt: string
  /** Secret values are sealed, and only ever leave at their place; the others may be shown. */
  readonly secret: boolean
  readonly optional: boolean
  /** What a value looks like. The hint says what to give instead, and never repeats what was given. */
  readonly shape?: { readonly pattern: RegExp; readonly hint: string }
}

/** Where in a request a credential stands. */
export type Place =
  | {
      readonly in: 'header'
      readonly header: string
      /** Put before the value: `Bearer `. */
      readonly prefix: string
      /** RFC 7617: the value is the password of this user, and `Basic` is the scheme. */
      readonly basicUser?: string
    }
  /** A whole segment of the path: `bot` and the value, in place of what the agent wrote there. */
  | { readonly in: 'segment'; readonly prefix: string }

/** How requests of a run get the credential. */
export interface Injection {
  /** The field whose value is sent; without that value, the injection does not take part. */
  readonly field: string
  /** Exact names, or `*.example.com` for any depth below; `{host}` is the qualifier. */
  readonly hosts: readonly string[]
  readonly place: Place
  readonly adds: Readonly<Record<string, string>>
  readonly removes: readonly string[]
}

/** A stand-in: the provider's prefix and length, with a part that is random and never derived from the secret. */
export interface StubShape {
  readonly prefix: string
  /** Characters in all, prefix and mark included. */
  readonly length: number
  readonly alphabet: 'alphanumeric' | 'hex'
}

/** What a sandbox holds in place of the credential. */
export type Seen =
  | { readonly as: 'variable'; readonly name: string; readonly stub: StubShape }
  /** Relative to the home of the sandbox. */
  | { readonly as: 'file'; readonly path: string; readonly stub: StubShape }
  | { readonly as: 'socket'; readonly variable: string }
  /** A `credential_process` that asks the daemon: what it prints is real, and short-lived. */
  | { readonly as: 'process'; readonly path: string }

/** Where the command line finds a value, in this order. */
export type Source =
  | { readonly kind: 'env'; readonly names: readonly string[]; readonly field: string }
  | { readonly kind: 'command'; readonly argv: readonly string[]; readonly field: string }
  | {
      readonly kind: 'reader'
      readonly name: 'claude-login' | 'gemini-login' | 'npmrc' | 'ssh-agent' | 'aws-profile'
      /** What it reads; one of them may be absent on a machine. */
      readonly fields: readonly string[]
    }
  | { readonly kind: 'prompt'; readonly field: string }

/** One harmless call that tells whether a credential works. */
export interface Validation {
  readonly field: string
  readonly method: 'GET' | 'POST'
  /** `{host}` is the qualifier, `{segment}` the credential where its place is a segment. */
  readonly url: string
  readonly place: Place
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  /** Statuses that mean it works, and that it does not; all others tell nothing. */
  readonly valid: readonly number[]
  readonly invalid: readonly number[]
}

/** How a new credential is had for an old one, at an address that is fixed here and cannot be configured. */
export interface Refresh {
  readonly tokenEndpoint: string
  readonly encoding: 'json' | 'form'
  /** What the request says; `{field}` stands for a value of the grant. A parameter whose value is absent is left out. */
  readonly parameters: Readonly<Record<string, string>>
  /** Without all of these values there is no refresh. */
  readonly needs: readonly string[]
  /** So often also where nothing says that it ends. */
  readonly everySeconds?: number
}

/** What a grant consists of. */
export interface GrantValues {
  readonly shown: Readonly<Record<string, string>>
  readonly secret: Readonly<Record<string, SecretValue>>
}

/** What a test has found, with one sentence that may be shown to everybody who may see the grant. */
export interface Verdict {
  readonly state: 'valid' | 'invalid' | 'unknown'
  readonly message: string
}

/** What a provider may use of the machine of the daemon. */
export interface HostTools {
  /** For programs that it starts: PATH, HOME and what they read of it. */
  readonly env: Readonly<Record<string, string | undefined>>
}

/** What one provider is: the source of its prompts, checks, origins, injections, stubs, and of its row in the documents. */
export interface Provider {
  readonly id: string
  readonly aliases: readonly string[]
  readonly title: string
  readonly description: string
  readonly qualifier: Qualifier | undefined
  readonly fields: readonly Field[]
  /** Of these fields exactly one is given. */
  readonly oneOf: readonly string[]
  /** Where its credential may be sent unless the grant says otherwise: `https://api.github.com`, `https://*.openai.com`. */
  readonly origins: readonly string[]
  readonly injections: readonly Injection[]
  readonly sees: readonly Seen[]
  readonly sources: readonly Source[]
  readonly validations: readonly Validation[]
  readonly refresh: Refresh | undefined
  /** In place of validations, for what is no HTTP credential. */
  readonly check: ((values: GrantValues, qualifier: string, tools: HostTools) => Promise<Verdict>) | undefined
  /** Nothing but a run can use it. */
  readonly runsOnly: boolean
  /** `file`: made by the operator, in the home of the daemon. */
  readonly from: 'compiled' | 'shipped' | 'file'
}

type Optional =
  | 'aliases'
  | 'qualifier'
  | 'oneOf'
  | 'origins'
  | 'injections'
  | 'sees'
  | 'sources'
  | 'validations'
  | 'refresh'
  | 'check'
  | 'runsOnly'
  | 'from'

export const defineProvider = (
  given: Omit<Provider, Optional> & Partial<Pick<Provider, Optional>>,
): Provider => ({
  aliases: [],
  qualifier: undefined,
  oneOf: [],
  origins: [],
  injections: [],
  sees: [],
  sources: [],
  validations: [],
  refresh: undefined,
  check: undefined,
  runsOnly: false,
  from: 'compiled',
  ...given,
})

/** A field that must be given and is sealed; the usual one. */
export const secretField = (name: string, prompt: string, shape?: Field['shape']): Field => ({
  name,
  prompt,
  secret: true,
  optional: false,
  ...(shape === undefined ? {} : { shape }),
})

/** A field that may be read by whoever may see the grant. */
export const shownField = (name: string, prompt: string, shape?: Field['shape']): Field => ({
  name,
  prompt,
  secret: false,
  optional: false,
  ...(shape === undefined ? {} : { shape }),
})

export const optional = (field: Field): Field => ({ ...field, optional: true })

export const header = (name: string, prefix = ''): Place => ({ in: 'header', header: name, prefix })
export const bearer: Place = { in: 'header', header: 'Authorization', prefix: 'Bearer ' }

/** An injection that changes nothing but its own place. */
export const inject = (
  field: string,
  hosts: readonly string[],
  place: Place,
  more: Partial<Pick<Injection, 'adds' | 'removes'>> = {},
): Injection => ({ field, hosts, place, adds: more.adds ?? {}, removes: more.removes ?? [] })

/** A call that is answered 200 or 401. */
export const validate = (
  given: Pick<Validation, 'field' | 'url' | 'place'> & Partial<Validation>,
): Validation => ({ method: 'GET', headers: {}, valid: [200], invalid: [401], ...given })

/** @param stub prefix and length of a real one */
export const variable = (name: string, stub: StubShape): Seen => ({ as: 'variable', name, stub })

export const alphanumeric = (prefix: string, length: number): StubShape => ({
  prefix,
  length,
  alphabet: 'alphanumeric',
})

/** A text with the qualifier in its place. */
export const withHost = (text: string, qualifier: string): string => text.replaceAll('{host}', qualifier)

/** @returns the origins that a grant is bound to unless its owner says otherwise; none: they have to be given */
export const defaultOrigins = ({ origins }: Provider, qualifier: string): readonly string[] =>
  origins.map((origin) => withHost(origin, qualifier))
