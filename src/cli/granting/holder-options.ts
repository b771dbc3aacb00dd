import { flag, text } from '../define-command.ts'
import { usage } from '../failure.ts'

/** Whose grant is meant, and of which set; without them it is the one that all share. */
export const HOLDER_OPTIONS = {
  mine: flag('--mine', 'yours alone: for servers that call with the grant of each user'),
  user: text('--user <name>', 'that of this user', 'users'),
  serviceAccount: text('--service-account <name>', 'that of this service account', 'serviceaccounts'),
  ofProject: text(
    '--project <name>',
    'that of this project, for servers that call with the grant of each',
    'projects',
  ),
  profile: text('--profile <name>', 'of this set of grants (default: default)'),
} as const

export interface HolderChoice {
  readonly mine: boolean
  readonly user: string | undefined
  readonly serviceAccount: string | undefined
  readonly ofProject: string | undefined
  readonly profile: string | undefined
}

/** The same as the API takes it, in a query or a body. */
export interface HolderQuery {
  readonly for: string | undefined
  readonly profile: string | undefined
}

/** @throws CliFailure when it is said twice */
export function holderOf({ mine, user, serviceAccount, ofProject, profile }: HolderChoice): HolderQuery {
  const said = [
    ...(mine ? ['me'] : []),
    ...(user === undefined ? [] : [`user:${user}`]),
    ...(serviceAccount === undefined ? [] : [`service-account:${serviceAccount}`]),
    ...(ofProject === undefined ? [] : [`project:${ofProject}`]),
  ]
  if (said.length > 1)
    throw usage(
      'it is said twice whose grant it is',
      'give one of --mine, --user, --service-account and --project',
    )
  return { for: said[0], profile }
}

/** The same options for a command that is printed. */
export const holderWords = ({ for: of, profile }: HolderQuery): string =>
  [
    ...(of === undefined ? [] : [of === 'me' ? '--mine' : `--${of.replace(':', ' ')}`]),
    ...(profile === undefined ? [] : [`--profile ${profile}`]),
  ]
    .map((word) => ` ${word}`)
    .join('')

export const queryOf = ({
  for: of,
  profile,
}: HolderQuery): { readonly [name: string]: string | undefined } => ({ for: of, profile })
