import { SecretValue } from '../../lib/secret-value.ts'
import type { ProviderSource, Reader, ReaderRequest, SourceAnswer } from './provider.ts'

/** What a source is called in `--from`, and kept as. */
export type Origin = 'env' | 'cli' | 'file' | 'prompt'

// oxfmt-ignore
const ORIGINS: Readonly<Record<ProviderSource['kind'], Origin>> = {
  env: 'env', command: 'cli', reader: 'file', prompt: 'prompt',
}
export const originOf = ({ kind }: ProviderSource): Origin => ORIGINS[kind]

/** What it may fill. */
export const fieldsOf = (source: ProviderSource): readonly string[] =>
  source.kind === 'reader' ? source.fields : [source.field]

/** Loaded when one is looked at. What else a daemon may name is not known here, and so is not read. */
const READERS: Readonly<Record<string, () => Promise<Reader>>> = {
  'claude-login': async () => (await import('./logins.ts')).readClaudeLogin,
  'gemini-login': async () => (await import('./logins.ts')).readGeminiLogin,
  npmrc: async () => (await import('./npmrc.ts')).readNpmrc,
  'ssh-agent': async () => (await import('./ssh-agent.ts')).readSshAgent,
  'aws-profile': async () => (await import('./aws-profile.ts')).readAwsProfile,
}

/**
 * Looks at one source.
 *
 * @throws CliFailure when something is there and cannot be used
 */
export async function lookAt(
  source: Exclude<ProviderSource, { readonly kind: 'prompt' }>,
  request: ReaderRequest,
): Promise<SourceAnswer> {
  if (source.kind === 'env') return fromEnvironment(source, request)
  if (source.kind === 'command') return (await import('./token-command.ts')).fromCommand(source, request)
  const reader = Object.hasOwn(READERS, source.name) ? READERS[source.name] : undefined
  if (reader === undefined)
    return { found: false, says: `${source.name}: this version of castellan cannot read it` }
  return (await reader())(request)
}

function fromEnvironment(
  { names, field }: Extract<ProviderSource, { readonly kind: 'env' }>,
  { context: { env } }: ReaderRequest,
): SourceAnswer {
  for (const name of names) {
    const value = env[name]?.trim() ?? ''
    if (value !== '') return { found: true, says: name, values: new Map([[field, new SecretValue(value)]]) }
  }
  return { found: false, says: `${names.join(', ')}: not set` }
}
