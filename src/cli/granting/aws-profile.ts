import { join } from 'node:path'
import { SecretValue } from '../../lib/secret-value.ts'
import type { Reader, ReaderRequest } from './provider.ts'
import { readLoginFile } from './read-login-file.ts'

const MEND = 'look at the file, or make it again with: aws configure'

/**
 * Which profile of the AWS command line a role is assumed from, the one that is given, else `AWS_PROFILE`; and the
 * region that it stands for. Nothing else is read of the two files: the keys in them stay where they are.
 */
export const readAwsProfile: Reader = (request) => {
  const { env } = request.context
  const given = request.given.get('awsProfile')
  const name = given ?? (env['AWS_PROFILE'] || undefined)
  const profiles = profilesOf(request)
  const region = env['AWS_REGION'] || env['AWS_DEFAULT_REGION'] || profiles.get(name ?? 'default')
  const values = new Map([
    ...(name === undefined ? [] : [['awsProfile', new SecretValue(name)] as const]),
    ...(region === undefined ? [] : [['region', new SecretValue(region)] as const]),
  ])
  if (values.size === 0) return { found: false, says: 'AWS_PROFILE: not set, and there is no region' }
  return {
    found: true,
    says: name === undefined ? 'the AWS configuration' : `the AWS profile ${name}`,
    values,
    note: name === undefined || profiles.has(name) ? undefined : unknownProfile([...profiles.keys()].sort()),
  }
}

/** It is the machine of the daemon that has to know it, which may be another. */
const unknownProfile = (known: readonly string[]): string =>
  `this machine has no profile by that name; it has ${known.length === 0 ? 'none' : known.join(', ')}`

/** Region by name of the profile; undefined: the profile says none. */
function profilesOf({ context: { env, userHome } }: ReaderRequest): ReadonlyMap<string, string | undefined> {
  const config = env['AWS_CONFIG_FILE'] || join(userHome, '.aws', 'config')
  const credentials = env['AWS_SHARED_CREDENTIALS_FILE'] || join(userHome, '.aws', 'credentials')
  const profiles = new Map<string, string | undefined>()
  for (const [name] of sectionsIn(credentials)) profiles.set(name, undefined)
  for (const [section, region] of sectionsIn(config)) {
    const name = section === 'default' ? section : /^profile\s+(\S.*)$/.exec(section)?.[1]
    if (name !== undefined) profiles.set(name, region)
  }
  return profiles
}

/** Of an INI file: its sections, with the region that each names. */
function sectionsIn(path: string): ReadonlyMap<string, string | undefined> {
  const sections = new Map<string, string | undefined>()
  let section: string | undefined
  for (const line of (readLoginFile(path, MEND) ?? '').split(/\r?\n/)) {
    const named = /^\s*\[\s*([\x20-\x5c\x5e-\x7e]+?)\s*\]/.exec(line)?.[1]
    const region = /^region\s*=\s*([a-z0-9-]{1,40})\s*$/.exec(line)?.[1]
    if (named !== undefined) sections.set((section = named), undefined)
    else if (section !== undefined && region !== undefined) sections.set(section, region)
  }
  return sections
}
