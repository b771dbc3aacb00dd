import type { Verb } from './define-command.ts'

/** The verbs about who asks, and where: contexts, signing in, rights. */
export const IDENTITY_VERBS: readonly Verb[] = [
  {
    path: ['config'],
    summary: 'Contexts: which daemon is asked, and as whom',
    examples: ['castellan config get-contexts', 'castellan config use-context work'],
  },
  {
    path: ['config', 'get-contexts'],
    summary: 'List the contexts',
    load: async () => (await import('./commands/config-get-contexts.ts')).configGetContexts,
  },
  {
    path: ['config', 'current-context'],
    summary: 'Print the name of the context that is in use',
    load: async () => (await import('./commands/config-current-context.ts')).configCurrentContext,
  },
  {
    path: ['config', 'use-context'],
    summary: 'Put a context to use',
    load: async () => (await import('./commands/config-use-context.ts')).configUseContext,
  },
  {
    path: ['config', 'set-context'],
    summary: 'Make a context, or change one',
    load: async () => (await import('./commands/config-set-context.ts')).configSetContext,
  },
  {
    path: ['config', 'delete-context'],
    summary: 'Delete a context',
    load: async () => (await import('./commands/config-delete-context.ts')).configDeleteContext,
  },
]
