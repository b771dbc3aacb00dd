/** How one client is connected: what to do in words, and what to paste. */
export interface ClientLines {
  readonly client: string
  readonly about: string
  /** To be pasted as they stand, at most 79 columns. */
  readonly paste: readonly string[]
}

/** The variable that clients read the token from. Not one of Castellan's own: the command line would take it for its credential. */
const VARIABLE = 'QUICKSTART_TOKEN'
const HEADER = `Authorization: Bearer \${${VARIABLE}}`

/** Puts the token where the clients look for it, without showing it to other users of the machine. */
export const exportLine = (tokenFile: string): string => `export ${VARIABLE}="$(cat ${shellWord(tokenFile)})"`

/**
 * Lines for each client that work as they are. The token is in none of them: clients that run in a shell get it from
 * the environment, VS Code asks for it and keeps it in the system's store.
 */
export function clientLines(endpoint: string): readonly ClientLines[] {
  const shell = 'in the shell, then start it from there'
  return [
    {
      client: 'Claude Code',
      about: shell,
      paste: [`claude mcp add -s user -t http castellan ${endpoint} \\`, `  -H '${HEADER}'`],
    },
    {
      client: 'Codex',
      about: shell,
      paste: [`codex mcp add castellan --url ${endpoint} \\`, `  --bearer-token-env-var ${VARIABLE}`],
    },
    {
      client: 'Gemini CLI',
      about: shell,
      paste: [`gemini mcp add -s user -t http castellan ${endpoint} \\`, `  -H '${HEADER}'`],
    },
    {
      client: 'VS Code',
      about: '.vscode/mcp.json; asks for the token once',
      paste: [
        '{ "servers": { "castellan": { "type": "http",',
        `    "url": "${endpoint}",`,
        '    "headers": { "Authorization": "Bearer ${input:castellan}" } } },',
        '  "inputs": [{ "type": "promptString", "id": "castellan", "password": true,',
        '    "description": "Token of Castellan" }] }',
      ],
    },
    {
      client: 'Cursor',
      about: '.cursor/mcp.json; start it from the shell',
      paste: [
        '{ "mcpServers": { "castellan": {',
        `    "url": "${endpoint}",`,
        `    "headers": { "Authorization": "Bearer \${env:${VARIABLE}}" } } } }`,
      ],
    },
    { client: 'curl', about: 'one call, no session needed', paste: curlLines(endpoint) },
  ]
}

/**
 * A call of the 2026-07-28 revision: it needs no handshake before it. The header with the token comes to curl on its
 * standard input (`printf` is part of the shell), since the arguments of a process can be read by every user.
 */
const curlLines = (endpoint: string): readonly string[] => [
  `printf 'header = "Authorization: Bearer %s"' "$${VARIABLE}" |`,
  `curl -sS -K - ${endpoint} \\`,
  `  -H 'Content-Type: application/json' \\`,
  `  -H 'Accept: application/json, text/event-stream' \\`,
  `  -H 'MCP-Protocol-Version: 2026-07-28' \\`,
  `  -H 'Mcp-Method: tools/call' -H 'Mcp-Name: everything__echo' \\`,
  `  -d '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{`,
  `    "name":"everything__echo","arguments":{"message":"hi"},"_meta":{`,
  `    "io.modelcontextprotocol/protocolVersion":"2026-07-28",`,
  `    "io.modelcontextprotocol/clientInfo":{"name":"curl","version":"8"},`,
  `    "io.modelcontextprotocol/clientCapabilities":{}}}}'`,
]

const shellWord = (text: string): string =>
  /^[\w./@%+:,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
