/** How one client is connected: what to do in words, and what to paste. */
export interface ClientLines {
  readonly client: string
  readonly about: string
  /** To be pasted as they stand. */
  readonly paste: readonly string[]
}

/** The variable that clients read the token from. Not one of Castellan's own: the command line would take it for its credential. */
const VARIABLE = 'QUICKSTART_TOKEN'
const HEADER = `Authorization: Bearer \${${VARIABLE}}`

/** Puts the token where the clients look for it, without showing it to other users of the machine. */
export const exportLine = (tokenFile: string): string => `export ${VARIABLE}="$(cat ${shellWord(tokenFile)})"`

/**
 * Lines for each client that work as they are. The token is in none of them: clients that start in a shell get it from
 * the environment, VS Code asks for it and keeps it in the system's store.
 */
export function clientLines(endpoint: string): readonly ClientLines[] {
  return [
    {
      client: 'Claude Code',
      about: 'once; then start it from a shell with the token',
      paste: [`claude mcp add -s user -t http castellan ${endpoint} \\`, `  -H '${HEADER}'`],
    },
    {
      client: 'Codex',
      about: 'once',
      paste: [`codex mcp add castellan --url ${endpoint} \\`, `  --bearer-token-env-var ${VARIABLE}`],
    },
    {
      client: 'Gemini CLI',
      about: 'once',
      paste: [`gemini mcp add -s user -t http castellan ${endpoint} \\`, `  -H '${HEADER}'`],
    },
    {
      client: 'VS Code',
      about: 'into .vscode/mcp.json; it asks for the token once',
      paste: [
        '{ "servers": { "castellan": { "type": "http",',
        `    "url": "${endpoint}",`,
        '    "headers": { "Authorization": "Bearer ${input:castellan}" } } },',
        '  "inputs": [{ "id": "castellan", "type": "promptString",',
        '    "description": "Token of Castellan", "password": true }] }',
      ],
    },
    {
      client: 'Cursor',
      about: 'into .cursor/mcp.json; start it from a shell with the token',
      paste: [
        '{ "mcpServers": { "castellan": {',
        `    "url": "${endpoint}",`,
        `    "headers": { "Authorization": "Bearer \${env:${VARIABLE}}" } } } }`,
      ],
    },
    { client: 'curl', about: 'a call, from this folder', paste: curlLines(endpoint) },
  ]
}

/**
 * A call of the 2026-07-28 revision, which needs no handshake before it. The header with the token comes to curl on
 * its standard input (`printf` is part of the shell), since every user can read the arguments of a process.
 */
const curlLines = (endpoint: string): readonly string[] => [
  `printf 'header = "Authorization: Bearer %s"' "$${VARIABLE}" | curl -sS -K - \\`,
  `  -H @examples/quickstart/curl/echo.headers -d @examples/quickstart/curl/echo.json \\`,
  `  ${endpoint}`,
]

const shellWord = (text: string): string =>
  /^[\w./@%+:,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
