import { resolve } from 'node:path'
import type { CliContext } from '../../cli/context.ts'
import { usage } from '../../cli/failure.ts'
import { SecretValue } from '../../lib/secret-value.ts'

/** Where the master key is: at most one of these; none: `<home>/master.key`. */
export interface KeyConfig {
  /** Absolute path. */
  readonly keyFile?: string | undefined
  /** The master key itself, where it is in no file. */
  readonly masterKey?: SecretValue | undefined
  /** A program that prints what a key file holds, and the environment that it gets. */
  readonly keyCommand?: { readonly argv: readonly string[]; readonly env: Environment } | undefined
  /** The keychain of the system, found by this environment. */
  readonly keychain?: { readonly env: Environment } | undefined
}

/** Options of a command as they were given; each wins over its variable. */
export interface KeyOptions {
  readonly keyFile: string | undefined
  readonly keyCommand: string | undefined
  readonly keyKeychain: boolean | undefined
}

type Environment = Readonly<Record<string, string | undefined>>

/** Variables that a daemon forgets once they are read: no process that it starts may find them in its own. */
export const KEY_VARIABLES = [
  'CASTELLAN_MASTER_KEY',
  'CASTELLAN_KEY_COMMAND',
  'CASTELLAN_KEY_KEYCHAIN',
] as const

const MAX_ARGUMENTS = 64

/**
 * Where the master key comes from. Refused when it is given twice: which was meant cannot be known, and the wrong one
 * opens nothing.
 *
 * @throws CliFailure `invalid`
 */
export function readKeyChoice(
  options: KeyOptions,
  { env, cwd }: Pick<CliContext, 'env' | 'cwd'>,
): Required<KeyConfig> {
  const given = keysGiven(options, env)
  const [first, second] = Object.entries(given).flatMap(([name, value]) =>
    value === undefined ? [] : [name],
  )
  if (first !== undefined && second !== undefined)
    throw usage(`the master key is given twice, by ${first} and by ${second}`, 'give it in one way')
  const { file, value, command, keychain } = {
    file: given['a key file'],
    value: given['CASTELLAN_MASTER_KEY'],
    command: given['a key command'],
    keychain: given['the keychain'],
  }
  return {
    keyFile: file === undefined ? undefined : resolve(cwd, file),
    masterKey: value === undefined ? undefined : new SecretValue(value),
    keyCommand: command === undefined ? undefined : { argv: readArguments(command), env: withoutOurs(env) },
    keychain: keychain === undefined ? undefined : { env: withoutOurs(env) },
  }
}

/** Undefined: nobody has said where it is. */
export const keyGiven = (options: KeyOptions, env: Environment): string | undefined =>
  Object.values(keysGiven(options, env)).find((value) => value !== undefined)

const keysGiven = (options: KeyOptions, env: Environment) => ({
  'a key file': options.keyFile ?? nonEmpty(env['CASTELLAN_KEY_FILE']),
  CASTELLAN_MASTER_KEY: nonEmpty(env['CASTELLAN_MASTER_KEY']),
  'a key command': options.keyCommand ?? nonEmpty(env['CASTELLAN_KEY_COMMAND']),
  'the keychain':
    options.keyKeychain === true || isSwitchedOn(nonEmpty(env['CASTELLAN_KEY_KEYCHAIN'])) ? 'on' : undefined,
})

function isSwitchedOn(given: string | undefined): boolean {
  if (given === undefined || given === '0') return false
  if (given === '1') return true
  throw usage('CASTELLAN_KEY_KEYCHAIN has a value that cannot be', 'write: CASTELLAN_KEY_KEYCHAIN=1')
}

/** A path, or a JSON array: there is no shell that would take a line apart. */
function readArguments(given: string): readonly string[] {
  if (!given.trimStart().startsWith('[')) return [given]
  const argv = parse(given)
  const isArguments =
    Array.isArray(argv) &&
    argv.length > 0 &&
    argv.length <= MAX_ARGUMENTS &&
    argv.every((one): one is string => typeof one === 'string' && !one.includes('\0')) &&
    argv[0] !== ''
  if (isArguments) return argv
  throw usage(
    'the key command is neither a path nor a JSON array of its arguments',
    `write: --key-command '["/usr/local/bin/read-key", "castellan"]'`,
  )
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const withoutOurs = (env: Environment): Environment =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('CASTELLAN_')))

const nonEmpty = (text: string | undefined): string | undefined => (text === '' ? undefined : text)
