import type { Verb } from './define-command.ts'

/** The verbs about credentials that others issue. Any other word behind `grant` is the name of a provider. */
export const GRANT_VERBS: readonly Verb[] = [
  {
    path: ['grant'],
    summary: 'Credentials that others issue: give, show and take them back',
    load: async () => (await import('./commands/grant.ts')).grant,
  },
  {
    path: ['grant', 'oauth'],
    summary: 'Authorize the daemon at an authorization server, in a browser',
    load: async () => (await import('./commands/grant-oauth.ts')).grantOauth,
  },
  {
    path: ['grant', 'mcp'],
    summary: 'Give the key of one MCP server',
    load: async () => (await import('./commands/grant-mcp.ts')).grantMcp,
  },
  {
    path: ['grant', 'aws'],
    summary: 'Give runs a role at AWS',
    load: async () => (await import('./commands/grant-aws.ts')).grantAws,
  },
  {
    path: ['grant', 'ssh'],
    summary: 'Give runs one key of your SSH agent, for one host',
    load: async () => (await import('./commands/grant-ssh.ts')).grantSsh,
  },
  {
    path: ['grant', 'connect'],
    summary: 'Connect yourself to a server that calls with the grant of each user',
    load: async () => (await import('./commands/grant-connect.ts')).grantConnect,
  },
  {
    path: ['grant', 'providers'],
    summary: 'List what grants can be given of, and where each is found',
    load: async () => (await import('./commands/grant-providers.ts')).grantProviders,
  },
  {
    path: ['grant', 'list'],
    summary: 'List grants, their states and what mends them',
    load: async () => (await import('./commands/grant-list.ts')).grantList,
  },
  {
    path: ['grant', 'show'],
    summary: 'Show one grant in full',
    load: async () => (await import('./commands/grant-show.ts')).grantShow,
  },
  {
    path: ['grant', 'test'],
    summary: 'Check that a grant works',
    load: async () => (await import('./commands/grant-test.ts')).grantTest,
  },
  {
    path: ['grant', 'refresh'],
    summary: 'Renew a grant now',
    load: async () => (await import('./commands/grant-refresh.ts')).grantRefresh,
  },
  {
    path: ['grant', 'bind'],
    summary: 'Change where a grant may be sent',
    load: async () => (await import('./commands/grant-bind.ts')).grantBind,
  },
  {
    path: ['grant', 'revoke'],
    summary: 'Take a grant back, at its issuer too',
    load: async () => (await import('./commands/grant-revoke.ts')).grantRevoke,
  },
]
