import { err, ok, type Result } from '../../lib/result.ts'
import {
  headerName,
  headerPrefix,
  hostMatches,
  hostPattern,
  httpsUrl,
  providerName,
  segmentPrefix,
  variableName,
} from './checks.ts'
import {
  alphanumeric,
  defineProvider,
  inject,
  secretField,
  validate,
  variable,
  type Place,
  type Provider,
} from './define-provider.ts'
import { readStrictly, type Shape } from './strict-yaml.ts'

/** A provider as a file says it; those that are shipped are written in the same way. */
export interface ProviderFile {
  readonly name: string
  readonly title?: string
  readonly description: string
  readonly aliases?: readonly string[]
  readonly hosts: readonly string[]
  /** A header with what stands before the value; or `segment`, what stands before it in a segment of the path. */
  readonly inject: { readonly header?: string; readonly prefix?: string; readonly segment?: string }
  readonly source_env?: readonly string[]
  readonly container_env?: string
  readonly validate?: {
    /** With `{segment}` where the credential belongs into the path. */
    readonly url: string
    readonly method?: string
    /** Instead of those of `inject`. */
    readonly header?: string
    readonly prefix?: string
    /** JSON, for POST. */
    readonly body?: string
    /** Statuses that mean that the credential is refused; 401 unless said otherwise. */
    readonly invalid?: readonly number[]
  }
  readonly prompt?: string
}

const text = (max: number): Shape => ({ is: 'text', max })
const method = (value: string): string | undefined =>
  value === 'GET' || value === 'POST' ? undefined : 'must be GET or POST'
const shownText = (value: string): string | undefined =>
  /^[^\p{Cc}]+$/u.test(value) ? undefined : 'must be one line, and not empty'

const SHAPE: Shape = {
  is: 'fields',
  fields: {
    name: { is: 'text', max: 39, check: providerName, required: true },
    title: { is: 'text', max: 60, check: shownText },
    description: { is: 'text', max: 500, check: shownText, required: true },
    aliases: { is: 'list', max: 8, of: { is: 'text', max: 39, check: providerName } },
    hosts: { is: 'list', max: 32, of: { is: 'text', max: 253, check: hostPattern }, required: true },
    inject: {
      is: 'fields',
      required: true,
      fields: {
        header: { is: 'text', max: 128, check: headerName },
        prefix: { is: 'text', max: 64, check: headerPrefix },
        segment: { is: 'text', max: 32, check: segmentPrefix },
      },
    },
    source_env: { is: 'list', max: 8, of: { is: 'text', max: 128, check: variableName } },
    container_env: { is: 'text', max: 128, check: variableName },
    validate: {
      is: 'fields',
      fields: {
        url: { is: 'text', max: 2048, check: httpsUrl, required: true },
        method: { is: 'text', max: 16, check: method },
        header: { is: 'text', max: 128, check: headerName },
        prefix: { is: 'text', max: 64, check: headerPrefix },
        body: text(4096),
        invalid: { is: 'list', max: 8, of: { is: 'status' } },
      },
    },
    prompt: { is: 'text', max: 200, check: shownText },
  },
}

/** A file that was not taken, and the name that it may have meant to describe. */
export interface BadFile {
  readonly problems: readonly string[]
  readonly name: string | undefined
}

/**
 * One provider out of the text of its file.
 *
 * @param file its name, which stands before each problem: `gitlab.yaml:9:5: …`
 */
export async function readProviderFile(source: string, file: string): Promise<Result<Provider, BadFile>> {
  const { value, problems } = await readStrictly(source, SHAPE, file)
  const name = isNamed(value) ? value.name : undefined
  if (problems.length > 0) return err({ problems, name })
  const data = value as ProviderFile
  const misfits = misfitsOf(data)
  if (misfits.length > 0) return err({ problems: misfits.map((misfit) => `${file}:1:1: ${misfit}`), name })
  return ok(fromFile(data, 'file'))
}

const isNamed = (value: unknown): value is { readonly name: string } =>
  typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string'

/** What each field for itself cannot know. */
function misfitsOf({
  name,
  aliases = [],
  hosts,
  inject: place,
  validate: call,
}: ProviderFile): readonly string[] {
  const problems: string[] = []
  if (hosts.length === 0) problems.push('hosts needs one entry at least')
  if (aliases.includes(name) || new Set(aliases).size < aliases.length)
    problems.push('aliases must differ from the name and from each other')
  if ((place.header === undefined) === (place.segment === undefined))
    problems.push('inject needs either a header or a segment')
  if (place.segment !== undefined && place.prefix !== undefined)
    problems.push('inject.prefix belongs to a header; what stands before a segment is the segment itself')
  return call === undefined ? problems : [...problems, ...validationMisfits(call, hosts, place)]
}

function validationMisfits(
  call: NonNullable<ProviderFile['validate']>,
  hosts: readonly string[],
  place: ProviderFile['inject'],
): readonly string[] {
  const problems: string[] = []
  const url = new URL(call.url)
  // The credential goes there: to no other place than where it may go anyway.
  if (!hostMatches(hosts, url.hostname) || url.port !== '')
    problems.push('validate.url must be at one of the hosts')
  const segments = call.url.split(/[/?#]/).filter((segment) => segment.includes('{segment}'))
  const isInPath = segments.length === 1 && segments[0] === '{segment}' && !url.search.includes('segment')
  const wantsPath = place.segment !== undefined && call.header === undefined
  if (wantsPath ? !isInPath : segments.length > 0)
    problems.push(
      'validate.url needs {segment} as one whole segment of its path exactly where inject has a segment',
    )
  if (call.body !== undefined && call.method !== 'POST')
    problems.push('validate.body needs validate.method POST')
  if (call.prefix !== undefined && call.header === undefined)
    problems.push('validate.prefix needs validate.header')
  return problems
}

/** @param data whose fields were checked */
export function fromFile(data: ProviderFile, from: 'shipped' | 'file'): Provider {
  const { name, title = name, hosts, source_env: names = [], container_env: seen, validate: call } = data
  const place: Place =
    data.inject.segment === undefined
      ? { in: 'header', header: data.inject.header ?? '', prefix: data.inject.prefix ?? '' }
      : { in: 'segment', prefix: data.inject.segment }
  return defineProvider({
    id: name,
    title,
    description: data.description,
    aliases: data.aliases ?? [],
    fields: [secretField('token', data.prompt ?? `Token of ${title}`)],
    origins: hosts.map((host) => `https://${host}`),
    injections: [inject('token', hosts, place)],
    sees: seen === undefined ? [] : [variable(seen, alphanumeric('', 40))],
    sources: [
      ...(names.length === 0 ? [] : [{ kind: 'env', names, field: 'token' } as const]),
      { kind: 'prompt', field: 'token' },
    ],
    validations: call === undefined ? [] : [validationOf(call, place)],
    from,
  })
}

const validationOf = (
  call: NonNullable<ProviderFile['validate']>,
  place: Place,
): Provider['validations'][number] =>
  validate({
    field: 'token',
    url: call.url,
    method: call.method === 'POST' ? 'POST' : 'GET',
    place:
      call.header === undefined ? place : { in: 'header', header: call.header, prefix: call.prefix ?? '' },
    ...(call.body === undefined ? {} : { body: call.body, headers: { 'content-type': 'application/json' } }),
    ...(call.invalid === undefined ? {} : { invalid: call.invalid }),
  })
