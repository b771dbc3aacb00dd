import type { Verb } from '../cli/define-command.ts'
import { VERBS } from '../cli/verbs.ts'

/** Every verb: those that start and stop a daemon, those that speak to one, those that work on the files of a home. */
export const COMMANDS: readonly Verb[] = [
  {
    path: ['up'],
    summary: 'Start the daemon',
    load: async () => (await import('./command-up.ts')).up,
  },
  {
    path: ['down'],
    summary: 'Stop the daemon',
    load: async () => (await import('./command-down.ts')).down,
  },
  ...VERBS,
  {
    path: ['audit', 'verify'],
    summary: 'Check that the record is as it was written',
    load: async () => (await import('./command-audit-verify.ts')).auditVerify,
  },
  {
    path: ['audit', 'set-aside'],
    summary: 'Put a record that does not verify out of the way',
    load: async () => (await import('./command-audit-set-aside.ts')).auditSetAside,
  },
  {
    path: ['keys', 'new'],
    summary: 'Make a master key in a file',
    load: async () => (await import('./command-keys-new.ts')).keysNew,
  },
  {
    path: ['__complete'],
    summary: 'Answer a completion script',
    hidden: true,
    load: async () => (await import('../cli/commands/complete.ts')).createComplete(() => COMMANDS),
  },
]
