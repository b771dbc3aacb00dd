import type { Verb } from './define-command.ts'
import { GRANT_VERBS } from './grant-verbs.ts'
import { IDENTITY_VERBS } from './identity-verbs.ts'

/** The verbs that speak to a daemon, in the order of help. `main/commands.ts` adds those that work locally. */
export const VERBS: readonly Verb[] = [
  {
    path: ['status'],
    summary: 'Show the daemon, its servers and projects',
    load: async () => (await import('./commands/status.ts')).status,
  },
  {
    path: ['apply'],
    summary: 'Create or change what manifests describe',
    load: async () => (await import('./commands/apply.ts')).apply,
  },
  {
    path: ['get'],
    summary: 'List objects of a kind, or show one',
    load: async () => (await import('./commands/get.ts')).get,
  },
  {
    path: ['describe'],
    summary: 'Show one object in full, for reading',
    load: async () => (await import('./commands/describe.ts')).describe,
  },
  {
    path: ['delete'],
    summary: 'Delete objects',
    load: async () => (await import('./commands/delete.ts')).remove,
  },
  {
    path: ['explain'],
    summary: 'Explain a kind and its fields',
    load: async () => (await import('./commands/explain.ts')).explain,
  },
  {
    path: ['create'],
    summary: 'Create one object from the command line',
    examples: [
      'castellan create server memory -- npx -y @modelcontextprotocol/server-memory',
      'castellan create project demo --server memory',
      'castellan create token laptop -p demo',
    ],
  },
  {
    path: ['create', 'server'],
    summary: 'Create a server from a url, a command or a template',
    load: async () => (await import('./commands/create-server.ts')).createServer,
  },
  {
    path: ['create', 'project'],
    summary: 'Create a project',
    load: async () => (await import('./commands/create-project.ts')).createProject,
  },
  {
    path: ['create', 'secret'],
    summary: 'Create a secret from a prompt, a file or standard input',
    load: async () => (await import('./commands/create-secret.ts')).createSecret,
  },
  {
    path: ['create', 'token'],
    summary: 'Create a token for a project and show it once',
    load: async () => (await import('./commands/create-token.ts')).createToken,
  },
  {
    path: ['create', 'user'],
    summary: 'Create a user, with a password or without',
    load: async () => (await import('./commands/create-user.ts')).createUser,
  },
  {
    path: ['create', 'group'],
    summary: 'Create a group and say who belongs to it',
    load: async () => (await import('./commands/create-group.ts')).createGroup,
  },
  {
    path: ['create', 'serviceaccount'],
    summary: 'Create a service account, which tokens can be made for',
    load: async () => (await import('./commands/create-serviceaccount.ts')).createServiceAccount,
  },
  {
    path: ['create', 'rolebinding'],
    summary: 'Give rights to users, groups, tokens and service accounts',
    load: async () => (await import('./commands/create-rolebinding.ts')).createRoleBinding,
  },
  {
    path: ['create', 'identityprovider'],
    summary: 'Create an OpenID Connect provider to sign in at',
    load: async () => (await import('./commands/create-identityprovider.ts')).createIdentityProvider,
  },
  {
    path: ['create', 'template'],
    summary: 'Create a template to make servers from',
    load: async () => (await import('./commands/create-template.ts')).createTemplate,
  },
  {
    path: ['edit'],
    summary: 'Change one object in an editor',
    load: async () => (await import('./commands/edit.ts')).edit,
  },
  {
    path: ['attach'],
    summary: 'Put a server behind a project',
    load: async () => (await import('./commands/attach.ts')).attach,
  },
  {
    path: ['detach'],
    summary: 'Take a server out of a project',
    load: async () => (await import('./commands/attach.ts')).detach,
  },
  {
    path: ['revoke'],
    summary: 'Take a grant back, or end a token',
    load: async () => (await import('./commands/grant-revoke.ts')).revoke,
  },
  {
    path: ['revoke', 'token'],
    summary: 'Refuse a token from here on, everywhere',
    load: async () => (await import('./commands/revoke-token.ts')).revokeToken,
  },
  ...GRANT_VERBS,
  {
    path: ['keys'],
    summary: 'The master key: show it, replace it',
    examples: ['castellan keys list', 'castellan keys rotate'],
  },
  {
    path: ['keys', 'list'],
    summary: 'List master keys, what each has sealed, and who starts with which',
    load: async () => (await import('./commands/keys-list.ts')).keysList,
  },
  {
    path: ['keys', 'rotate'],
    summary: 'Put another master key in the place of the one in use',
    load: async () => (await import('./commands/keys-rotate.ts')).keysRotate,
  },
  {
    path: ['connect'],
    summary: 'Connect a client that speaks MCP on standard input and output',
    load: async () => (await import('./commands/connect.ts')).connect,
  },
  {
    path: ['test'],
    summary: 'Check that something works',
    examples: ['castellan test mcp http://127.0.0.1:7411/projects/demo/mcp'],
  },
  {
    path: ['test', 'mcp'],
    summary: 'Check an MCP endpoint as a client would use it',
    load: async () => (await import('./commands/test-mcp.ts')).testMcp,
  },
  {
    path: ['audit'],
    summary: 'Show the record of calls and changes',
    load: async () => (await import('./commands/audit.ts')).audit,
  },
  {
    path: ['audit', 'sessions'],
    summary: 'Show who was connected where, from when to when',
    load: async () => (await import('./commands/audit-sessions.ts')).auditSessions,
  },
  ...IDENTITY_VERBS,
  {
    path: ['logs'],
    summary: "Show the daemon's log, or what a stdio server wrote",
    load: async () => (await import('./commands/logs.ts')).logs,
  },
  {
    path: ['version'],
    summary: 'Show version, commit, build date and Node',
    load: async () => (await import('./commands/version.ts')).version,
  },
  {
    path: ['completion'],
    summary: 'Print a completion script for a shell',
    load: async () => (await import('./commands/completion.ts')).completion,
  },
]
