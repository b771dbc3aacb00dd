import { choice, flag, text, type Option } from './define-command.ts'

/** Options that mean the same wherever they stand. */
export const project: Option<string | undefined> = {
  ...text(
    '-p, --project <name>',
    'the project, for kinds that belong to one (default: that of the context)',
    'projects',
  ),
  fromContext: 'project',
}

/** Beside it, for those who want them all although their context has a project. */
export const allProjects = flag('-A, --all-projects', 'of all projects, whatever the context says')

/** The same word where it narrows a listing: left out, it is every project, whatever the context says. */
export const onlyProject = text('-p, --project <name>', 'only what belongs to this project', 'projects')

export const output = choice('-o, --output <format>', 'how to print it', [
  'table',
  'wide',
  'yaml',
  'json',
  'name',
])
