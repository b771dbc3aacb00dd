import { choice, text } from './define-command.ts'

/** Options that mean the same wherever they stand. */
export const project = text('-p, --project <name>', 'the project, for kinds that belong to one', 'projects')

export const output = choice('-o, --output <format>', 'how to print it', [
  'table',
  'wide',
  'yaml',
  'json',
  'name',
])
