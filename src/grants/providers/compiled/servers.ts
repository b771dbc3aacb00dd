import { defineProvider, optional, secretField } from '../define-provider.ts'

/** What follows is bound to one Server: neither origins nor a place are known before its grant is made. */

export const mcp = defineProvider({
  id: 'mcp',
  title: 'MCP server',
  description: 'A key that one MCP server wants, in the header that `auth.header` of the Server names.',
  qualifier: { name: 'name', example: 'context7' },
  fields: [secretField('token', 'Key of the server')],
  sources: [{ kind: 'prompt', field: 'token' }],
})

export const oauth = defineProvider({
  id: 'oauth',
  title: 'OAuth',
  description:
    'A login at an MCP server or at any authorization server, in the browser; renewed before it ends.',
  qualifier: { name: 'name', example: 'notion' },
  // What the flow obtains; nobody is asked for it.
  fields: [
    optional(secretField('token', 'Access token')),
    optional(secretField('refreshToken', 'Refresh token')),
  ],
})
