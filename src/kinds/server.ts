import { isLoopback } from '../lib/loopback.ts'
import { z } from 'zod'
import {
  defineKind,
  Name,
  type Reference,
  type ResourceOf,
  type SpecOf,
  type StatusOf,
} from './define-kind.ts'
import { toolFilter } from './tool-filter.ts'
import { isSensitiveName } from './sensitive-name.ts'
import { checkAuth, HEADER_NAME, RESERVED_HEADERS, ServerAuth } from './server-auth.ts'

const SecretRef = z.strictObject({
  name: Name.describe('A Secret.'),
  key: z.string().min(1).max(128).describe('A key in it.'),
})

const ValueFrom = z.strictObject({
  secretRef: SecretRef.describe('Where the value is kept.'),
  prefix: z
    .string()
    .max(64)
    .optional()
    .describe('Put before the value, such as `Bearer ` in an Authorization header.'),
})

/** Exactly one of `value` and `valueFrom`; a name that looks like a credential takes `valueFrom` only. */
const named = (name: z.ZodString) =>
  z
    .strictObject({
      name: name.describe('Its name.'),
      value: z
        .string()
        .max(8192)
        .optional()
        .describe('The value itself; readable by everyone who may read the manifest.'),
      valueFrom: ValueFrom.optional().describe('The value comes from a Secret.'),
    })
    .superRefine((entry, context) => {
      if ((entry.value === undefined) === (entry.valueFrom === undefined)) {
        context.addIssue({
          code: 'custom',
          path: ['value'],
          message: 'give exactly one of value and valueFrom',
        })
      } else if (entry.value !== undefined && isSensitiveName(entry.name)) {
        context.addIssue({
          code: 'custom',
          path: ['value'],
          message: `looks like a credential; write valueFrom: {secretRef: {name: <secret>, key: <key>}} instead`,
        })
      }
    })

const EnvEntry = named(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'must be a variable name'))
const HeaderEntry = named(z.string().regex(HEADER_NAME, 'must be an HTTP header name'))

const Timeouts = z
  .strictObject({
    connectSeconds: z
      .number()
      .min(0.1)
      .max(600)
      .default(30)
      .describe('To start or reach the server and to initialise it.'),
    callSeconds: z
      .number()
      .min(0.1)
      .max(86_400)
      .default(300)
      .describe('For one request, from forwarding to the answer; progress extends it.'),
    answerSeconds: z
      .number()
      .min(0.1)
      .max(86_400)
      .default(600)
      .describe('For a person or model to answer what the server asks during a call, each time it asks.'),
  })
  .prefault({})

const ToolFilter = toolFilter({
  allow: 'Only tools that match one of these globs are offered. Absent: all.',
  deny: 'Tools that match one of these globs are not offered, whatever `allow` says.',
})

const common = {
  description: z
    .string()
    .max(2000)
    .optional()
    .describe('For people; shown in lists and in the instructions of a project.'),
  timeouts: Timeouts.describe('How long to wait.'),
  tools: ToolFilter.describe('Which of its tools are offered at all.'),
}

const Protocol = z
  .enum(['auto', 'legacy', 'modern'])
  .default('auto')
  .describe(
    'What it speaks: `legacy` is opened with `initialize`, `modern` (2026-07-28) is not. `auto` asks once and remembers: a child process is started one more time for that.',
  )

const Mount = z.strictObject({
  path: z.string().startsWith('/').max(4096).describe('An absolute path on the host, the same inside.'),
  access: z.enum(['read', 'write']).default('read').describe('`write` allows changes.'),
})

const Stdio = z.strictObject({
  transport: z
    .literal('stdio')
    .describe('A child process of the daemon that speaks MCP on its standard input and output.'),
  command: z
    .string()
    .min(1)
    .max(4096)
    .describe('The program: a path, or a name looked up in PATH. Never a shell line.'),
  args: z.array(z.string().max(8192)).max(256).default([]).describe('Its arguments, as they are.'),
  env: z
    .array(EnvEntry)
    .max(256)
    .default([])
    .describe('Variables, besides a minimal PATH, HOME, LANG and TMPDIR.'),
  cwd: z
    .string()
    .startsWith('/')
    .max(4096)
    .optional()
    .describe('Working directory; writable by the server. Default: its own empty home.'),
  mounts: z
    .array(Mount)
    .max(64)
    .default([])
    .describe('Further paths it may see where the sandbox would hide them, or may write.'),
  instances: z
    .enum(['shared', 'per-principal', 'per-session'])
    .default('shared')
    .describe('Who shares one running copy.'),
  limits: z
    .strictObject({
      memoryMiB: z
        .number()
        .int()
        .min(16)
        .max(1_048_576)
        .default(1024)
        .describe('For one instance with all its children.'),
      messageMiB: z
        .number()
        .min(0.01)
        .max(256)
        .default(16)
        .describe('For one message on its standard output.'),
    })
    .prefault({})
    .describe('Bounds; an instance that passes one is ended.'),
  protocol: Protocol,
  ...common,
})

const remote = {
  url: z
    .url({ protocol: /^https?$/ })
    .max(2048)
    .describe('`https:`; `http:` for loopback hosts only. No user, password or credential in it.'),
  headers: z.array(HeaderEntry).max(64).default([]).describe('Sent with every request.'),
  auth: ServerAuth.optional().describe('What others have issued to us for this server.'),
}

const Http = z.strictObject({
  transport: z
    .literal('http')
    .describe(
      'Streamable HTTP, any protocol revision; a server that turns out to speak HTTP+SSE is served too.',
    ),
  ...remote,
  protocol: Protocol,
  ...common,
})

const Sse = z.strictObject({
  transport: z
    .literal('sse')
    .describe('HTTP+SSE, the transport of 2024-11-05: `url` is where its stream is, often ending in /sse.'),
  ...remote,
  ...common,
})

const ServerStatus = z.strictObject({
  phase: z
    .enum(['Pending', 'Ready', 'Degraded', 'Failed'])
    .describe('Pending: not used yet. Degraded: it answered, but not in full.'),
  message: z.string().optional().describe('Why it is not Ready, and what to do.'),
  era: z.enum(['legacy', 'modern']).optional().describe('What the server was found to speak.'),
  protocolVersion: z.string().optional().describe('The revision in use.'),
  detection: z.string().optional().describe('How that was found out, and why nothing else was.'),
  detectedAt: z.string().optional().describe('When.'),
  server: z.string().optional().describe('Name and version the server gives itself.'),
  tools: z.number().optional().describe('How many tools it offers, after `spec.tools`.'),
  instances: z.number().optional().describe('Running copies (stdio).'),
  restarts: z
    .number()
    .optional()
    .describe('How often a copy ended by itself since the daemon started (stdio).'),
  sandbox: z
    .string()
    .optional()
    .describe('What keeps the process in (stdio): bubblewrap, or reaper where that is missing.'),
})

function checkUrl(text: string): string[] {
  const url = new URL(text)
  const problems: string[] = []
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    problems.push('spec.url: must be https: for a host that is not loopback')
  }
  if (url.username !== '' || url.password !== '')
    problems.push('spec.url: must not hold a user or password; use headers with valueFrom')
  if ([...url.searchParams.keys()].some(isSensitiveName))
    problems.push('spec.url: must not hold a credential; use headers with valueFrom')
  if (url.hash !== '') problems.push('spec.url: must not have a fragment')
  return problems
}

function duplicates(names: readonly string[], path: string): string[] {
  return names.filter((name, i) => names.indexOf(name) !== i).map((name) => `${path}: ${name} is given twice`)
}

export const Server = defineKind({
  kind: 'Server',
  plural: 'servers',
  short: ['srv', 'server'],
  scope: 'global',
  uidPrefix: 'srv',
  summary: 'An MCP server that Castellan reaches over HTTP or runs as a child process.',
  spec: z.discriminatedUnion('transport', [Stdio, Http, Sse]),
  status: ServerStatus,
  applyOrder: 20,
  columns: [
    { header: 'NAME', of: (server) => server.metadata.name },
    { header: 'TRANSPORT', of: (server) => server.spec.transport },
    { header: 'PHASE', of: (server) => server.status.phase },
    { header: 'TOOLS', of: (server) => server.status.tools },
    { header: 'MESSAGE', of: (server) => server.status.message },
    { header: 'PROTOCOL', wide: true, of: (server) => server.status.protocolVersion },
    { header: 'INSTANCES', wide: true, of: (server) => server.status.instances },
    {
      header: 'TARGET',
      wide: true,
      of: ({ spec }) => (spec.transport === 'stdio' ? [spec.command, ...spec.args].join(' ') : spec.url),
    },
  ],
  references: secretReferences,
  check: (spec) =>
    spec.transport !== 'stdio'
      ? [
          ...checkUrl(spec.url),
          ...duplicates(
            spec.headers.map(({ name }) => name.toLowerCase()),
            'spec.headers',
          ),
          ...spec.headers.flatMap(({ name }, i) =>
            RESERVED_HEADERS.has(name.toLowerCase())
              ? [`spec.headers[${i}].name: ${name} is set by the gateway`]
              : [],
          ),
          ...checkAuth(spec),
        ]
      : duplicates(
          spec.env.map(({ name }) => name),
          'spec.env',
        ),
  example: {
    transport: 'http',
    url: 'https://mcp.example.com/mcp',
    headers: [
      {
        name: 'Authorization',
        valueFrom: { secretRef: { name: 'example', key: 'token' }, prefix: 'Bearer ' },
      },
    ],
  },
})

export type Server = ResourceOf<typeof Server>
export type ServerSpec = SpecOf<typeof Server>
export type ServerStatus = StatusOf<typeof Server>
export type StdioSpec = Extract<ServerSpec, { transport: 'stdio' }>
export type HttpSpec = Extract<ServerSpec, { transport: 'http' | 'sse' }>
export type NamedValue = StdioSpec['env'][number]

function secretReferences(
  spec: z.output<typeof Stdio> | z.output<typeof Http> | z.output<typeof Sse>,
): Reference[] {
  const [field, entries] =
    spec.transport === 'stdio' ? (['env', spec.env] as const) : (['headers', spec.headers] as const)
  return entries.flatMap(({ valueFrom }, i) =>
    valueFrom === undefined
      ? []
      : [{ kind: 'Secret', ...valueFrom.secretRef, path: `spec.${field}[${i}].valueFrom.secretRef` }],
  )
}
