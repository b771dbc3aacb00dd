import type { Verb } from './define-command.ts'

/** The verbs about who asks, and where: contexts, signing in, rights. */
export const IDENTITY_VERBS: readonly Verb[] = [
  {
    path: ['login'],
    summary: 'Sign in to a daemon, with a password or at an identity provider',
    load: async () => (await import('./commands/login.ts')).login,
  },
  {
    path: ['logout'],
    summary: 'Sign out',
    load: async () => (await import('./commands/logout.ts')).logout,
  },
  {
    path: ['whoami'],
    summary: 'Show who you are to the daemon, and which daemon that is',
    load: async () => (await import('./commands/whoami.ts')).whoami,
  },
  {
    path: ['set-password'],
    summary: 'Set your password, or that of another user',
    load: async () => (await import('./commands/set-password.ts')).setPassword,
  },
  {
    path: ['auth'],
    summary: 'Rights: what you may do, and who may do something',
    examples: [
      'castellan auth can-i edit server github --explain',
      'castellan auth who-can run projects demo',
      'castellan auth rights',
    ],
  },
  {
    path: ['auth', 'can-i'],
    summary: 'Say whether you, or another, may do something',
    load: async () => (await import('./commands/auth-can-i.ts')).authCanI,
  },
  {
    path: ['auth', 'who-can'],
    summary: 'List who may do something',
    load: async () => (await import('./commands/auth-who-can.ts')).authWhoCan,
  },
  {
    path: ['auth', 'rights'],
    summary: 'List all rights that you, or another, hold',
    load: async () => (await import('./commands/auth-rights.ts')).authRights,
  },
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
