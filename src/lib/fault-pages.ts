import { faultCodes, faultRow, type FaultCode } from './fault.ts'

/** What a code means to who meets it. The compiler wants an entry for every code. */
// oxfmt-ignore
const PAGES: Readonly<Record<FaultCode, { readonly when: string; readonly todo: string }>> = {
  unauthenticated: {
    when: 'There is no `Authorization: Bearer …` header, or its credential is unknown, expired or revoked. Which of these it was stands in the record, not in the answer.',
    todo: 'Make a token with `castellan create token NAME -p PROJECT` and give it to the client. On the machine of the daemon, the command line finds the local credential by itself.',
  },
  sign_in_refused: {
    when: 'A name with a password, or the answer of an identity provider, leads to no User who may sign in. Whether the name or the password was wrong, or the User is disabled, stands in the record, not in the answer.',
    todo: 'Run `castellan login` again. A password that is lost is set anew with `castellan set-password NAME`; a User is linked to an account at a provider by `spec.identity`.',
  },
  forbidden: {
    when: 'You are known, but hold no right to do this. A token also does nothing outside of its own Project, and never what its owner may not.',
    todo: '`castellan auth can-i VERB KIND NAME --explain` says what is missing; whoever holds it can give it with `castellan create rolebinding`. With a token: use the endpoint of its own Project.',
  },
  origin_refused: {
    when: 'The `Host` header names a host under which the daemon is not known, or the `Origin` header names a page that is not served by it. This is what keeps a web page in a browser away from a daemon on the same machine.',
    todo: 'Use the address that `castellan status` shows. If the daemon is to be known under another name, start it with that name.',
  },
  not_found: {
    when: 'There is nothing by that name, or nothing that this caller may see: the two look the same from outside.',
    todo: 'List what there is: `tools/list` or `prompts/list` for a client, `castellan get` on the command line.',
  },
  resource_not_found: {
    when: 'No Server of the Project has a resource with that URI.',
    todo: 'List the resources. A client of revision 2026-07-28 gets code -32602 for this.',
  },
  no_endpoint: {
    when: 'The address is none of an endpoint, or names a Project or Server that does not exist.',
    todo: 'Endpoints are `/projects/{project}/mcp` and `/projects/{project}/servers/{server}/mcp`; `castellan get projects` shows them.',
  },
  method_not_found: {
    when: 'A client of revision 2026-07-28 asked for a method that is not served, or that this revision no longer has (`ping`, `logging/setLevel`).',
    todo: 'A client that only knows older revisions begins with `initialize`.',
  },
  method_unavailable: {
    when: 'A client of an older revision asked for a method that is not served here, or that the Server behind it does not offer in a way that fits this client.',
    todo: 'Look at the capabilities in the answer to `initialize`.',
  },
  method_not_allowed: {
    when: 'The HTTP method is not one that is taken at this address.',
    todo: 'An MCP endpoint takes POST, GET and DELETE; the `Allow` header says what an address takes.',
  },
  invalid: {
    when: 'The request is well formed, but a field is missing or has a value that is not allowed.',
    todo: 'The `problems` name each field and what it must be.',
  },
  invalid_envelope: {
    when: 'A request of revision 2026-07-28 lacks a required key of `params._meta`, or one has the wrong type. A request with the header of that revision and no such keys is refused in the same way.',
    todo: 'Send `io.modelcontextprotocol/protocolVersion` and `io.modelcontextprotocol/clientCapabilities` with every request.',
  },
  not_json: {
    when: 'The body is not JSON, or not UTF-8.',
    todo: 'Send one JSON object in UTF-8, without a byte order mark.',
  },
  not_jsonrpc: {
    when: 'The body is JSON, but no JSON-RPC 2.0 message, or one that cannot be taken: an object with the same key twice, nested deeper than 128 levels, or a batch outside of revision 2025-03-26, empty, of more than 100 messages, or with `initialize`, an envelope or the same id twice in it.',
    todo: 'Send one message per request. Keys that occur twice are refused because two programs may read two different messages in them.',
  },
  header_mismatch: {
    when: 'In revision 2026-07-28 the headers `MCP-Protocol-Version`, `Mcp-Method` and `Mcp-Name` repeat parts of the body; one is missing or says something else. The same holds for `Mcp-Param-*`, which repeat arguments that a tool marks with `x-mcp-header`.',
    todo: 'Write the headers from the body, and those of arguments by the list of tools as it is now. Something on the way may have changed one of the two.',
  },
  capability_missing: {
    when: 'The Server asked the client for something (an elicitation, a sampling, roots) that the request does not declare in `clientCapabilities`, and did not go on without it.',
    todo: 'Use a client that can be asked for it; `error.data.requiredCapabilities` says for what.',
  },
  unsupported_version: {
    when: 'The protocol revision that the request names is not spoken here.',
    todo: 'Use one of `error.data.supported`, or begin with `initialize`, which negotiates.',
  },
  session_missing: {
    when: 'A request of an older revision came without the `Mcp-Session-Id` header.',
    todo: 'Send `initialize` first, and from then on the `Mcp-Session-Id` of its answer.',
  },
  session_lost: {
    when: 'The session does not exist (any more), or belongs to another token, Project or Server. Sessions survive a restart of the daemon and end after seven days without a request.',
    todo: 'Send `initialize` again; clients do so by themselves.',
  },
  conflict: {
    when: 'The change does not fit the present state: the name is taken, something still refers to the object, or it was changed in between.',
    todo: 'Read the object again and decide anew; the hint names what is in the way.',
  },
  changed_meanwhile: {
    when: 'The request has an `If-Match` header, and the object is not (any more) as it was when its ETag was handed out.',
    todo: 'Read it again, decide whether the change is still meant, and send it with the ETag of now.',
  },
  key_reused: {
    when: 'The `Idempotency-Key` has been used within the last 24 hours for a request that was not the same.',
    todo: 'Make a key for each request; repeat one with its own key only.',
  },
  expired: {
    when: 'What a watch or a list should go on from lies too far back (10,000 changes), or rights have changed since, or it is of another database.',
    todo: 'List again, and watch from the `metadata.revision` of that list. `castellan get -w` does so by itself.',
  },
  too_large: {
    when: 'The body, or a bounded part of it, is larger than is taken (4 MiB for a request to an MCP endpoint). The connection is closed, since the rest is not read.',
    todo: 'Send less, or send it in parts.',
  },
  not_acceptable: {
    when: 'The `Accept` header does not list `application/json` and `text/event-stream`, between which the server chooses; for a GET, `text/event-stream`.',
    todo: 'Send `Accept: application/json, text/event-stream`.',
  },
  unsupported_media: {
    when: 'The `Content-Type` is not one that is taken at this address.',
    todo: 'Send `application/json` to an MCP endpoint; the control API takes YAML for manifests as well.',
  },
  too_many: {
    when: 'A limit of connections, sessions or requests has been reached.',
    todo: 'Wait as long as `Retry-After` says, then try again.',
  },
  upstream_unreachable: {
    when: 'The Server behind the gateway is down, cannot be started, refuses the credential that is kept for it, or hung up. While it is known to be away, calls fail at once and it is tried again in the background.',
    todo: '`castellan status` shows the Server and its last failure, `castellan logs server NAME` what it wrote before it ended.',
  },
  upstream_invalid: {
    when: 'The Server answered with something that is no MCP message, that is larger than is taken, or that this client cannot be given.',
    todo: 'Try the Server by itself; `castellan logs server NAME` may say more.',
  },
  upstream_timeout: {
    when: 'The Server took the request and did not answer in time. It was told that nobody waits any more.',
    todo: 'Raise `spec.timeouts.callSeconds` of the Server if it needs longer. The call may have had its effect.',
  },
  connection_needed: {
    when: 'A server is reached with an account of whoever calls, and this person has not connected theirs.',
    todo: 'Open the address that the error names, or run `castellan grant connect SERVER`; then call again.',
  },
  unavailable: {
    when: 'The daemon cannot do this now: most often because the record of calls cannot be written (a full disk). Nothing was forwarded.',
    todo: '`castellan status` says why. Try again after what `Retry-After` says.',
  },
  internal: {
    when: 'A bug in Castellan. Nothing of it is shown to the caller.',
    todo: 'The log of the daemon has the reason (`castellan logs`); please report it.',
  },
}

/** `docs/errors.md`: one section per code, so that each has an address (`errors.md#not_found`). */
export function faultPages(): string {
  return [
    '# Errors',
    'Every refusal has one of these codes. On the control API it stands in `code` of the problem details (RFC 9457), whose ' +
      '`type` is the address of its section here; on an MCP endpoint in `error.data.code`, beside the JSON-RPC code that the ' +
      'protocol wants. The command line prints the sentence and the hint and ends with the exit status. Written from `src/lib/fault.ts` and `src/lib/fault-pages.ts` by `npm run docs`; a test ' +
      'fails when they differ.',
    ...faultCodes().map(faultPage),
  ]
    .join('\n\n')
    .concat('\n')
}

/** The section of one code, as Markdown. */
export function faultPage(code: FaultCode): string {
  const { http, mcp, rpc, exit, text } = faultRow(code)
  const { when, todo } = PAGES[code]
  return [
    `## ${code}`,
    `_${text}_ · control API ${http} · MCP endpoint ${mcp}, JSON-RPC ${rpc} · exit status ${exit}`,
    when,
    `**What to do.** ${todo}`,
  ].join('\n\n')
}
