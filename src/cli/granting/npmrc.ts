import { join } from 'node:path'
import { SecretValue } from '../../lib/secret-value.ts'
import { unavailable, usage } from '../failure.ts'
import type { Reader, ReaderRequest } from './provider.ts'
import { readLoginFile } from './read-login-file.ts'

/** A token of a registry, where it stands. */
interface Entry {
  readonly host: string
  readonly value: string
  /** `~/.npmrc:3` */
  readonly where: string
}

const MEND = 'look at the line; npm login --registry=https://HOST writes a good one'

/**
 * The token of a registry in the `.npmrc` of the project, then of the user: `//HOST/:_authToken=…`, with `${NAME}`
 * filled in from the environment, as npm does it.
 */
export const readNpmrc: Reader = (request) => {
  const { qualifier } = request
  const paths = pathsOf(request)
  const entries = paths.flatMap((path) => entriesIn(path))
  const host = qualifier ?? onlyHostOf(entries)
  const entry = entries.find((one) => one.host === host)
  if (entry === undefined || host === undefined)
    return {
      found: false,
      says: `${paths.join(', ')}: no token ${host === undefined ? '' : `for ${host}`}`.trimEnd(),
    }
  const value = new SecretValue(expanded(entry, request))
  return { found: true, says: entry.where, values: new Map([['token', value]]), qualifier: host }
}

function pathsOf({ context: { env, cwd, userHome } }: ReaderRequest): readonly string[] {
  const ofUser = env['NPM_CONFIG_USERCONFIG'] || env['npm_config_userconfig'] || join(userHome, '.npmrc')
  return [...new Set([join(cwd, '.npmrc'), ofUser])]
}

/** `//registry.example.com/npm/:_authToken`; one with a port is no name of a grant. */
const KEY = /^\/\/([A-Za-z0-9.-]+)(?:\/[^\s=:]*)?:_authToken$/

function entriesIn(path: string): Entry[] {
  const lines = (readLoginFile(path, MEND) ?? '').split(/\r?\n/)
  return lines.flatMap((line, index) => {
    const at = line.indexOf('=')
    if (at < 0 || /^\s*[;#]/.test(line)) return []
    const host = KEY.exec(line.slice(0, at).trim())?.[1]?.toLowerCase()
    const value = unquoted(line.slice(at + 1).trim())
    return host === undefined || value === '' ? [] : [{ host, value, where: `${path}:${index + 1}` }]
  })
}

const unquoted = (text: string): string => /^(["'])(.*)\1$/.exec(text)?.[2] ?? text

function onlyHostOf(entries: readonly Entry[]): string | undefined {
  const hosts = [...new Set(entries.map(({ host }) => host))]
  if (hosts.length > 1)
    throw usage(
      'there are tokens for several registries',
      `choose one: castellan grant npm ${hosts.map((host) => `--host ${host}`).join(', or ')}`,
    )
  return hosts[0]
}

function expanded({ value, where }: Entry, { context: { env } }: ReaderRequest): string {
  return value.replaceAll(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_, name: string) => {
    const found = env[name]
    if (found === undefined || found === '')
      throw unavailable(
        `${where} refers to the variable ${name}, which is not set`,
        `set ${name}, or: ${MEND}`,
      )
    return found
  })
}
