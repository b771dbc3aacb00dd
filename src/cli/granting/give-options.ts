import { choice, flag } from '../define-command.ts'
import { HOLDER_OPTIONS } from './holder-options.ts'

/** What all verbs have that store a grant. */
export const GIVE_OPTIONS = {
  ...HOLDER_OPTIONS,
  noTest: flag('--no-test', 'do not try whether it works once it is stored'),
  force: flag('--force', 'take a value that does not look like one of this provider'),
  output: choice('-o, --output <format>', 'how to print it', ['text', 'json']),
} as const

export const yes = flag('-y, --yes', 'send what was found to a daemon on another machine without asking')
