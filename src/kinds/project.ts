import { z } from 'zod'
import { defineKind, Name, type ResourceOf, type SpecOf } from './define-kind.ts'
import { toolFilter } from './tool-filter.ts'

const ToolFilter = toolFilter({
  allow:
    'Only tools that match one of these globs, by their name in the project (`{server}__{tool}`). Absent: all.',
  deny: 'Tools that match one of these globs are neither listed nor callable, whatever `allow` says.',
})

const Audit = z
  .strictObject({
    durability: z
      .enum(['before-reply', 'before-forward', 'batched'])
      .default('before-reply')
      .describe(
        'When the record of a call must be on disk: before its answer is given (default), before it is forwarded, or soon after (`batched`: a crash can lose the last moments).',
      ),
  })
  .prefault({})

/** A week: two of the three known agent clients never say that they are done, and one never opens a second session. */
export const DEFAULT_IDLE_HOURS = 168

export const Project = defineKind({
  kind: 'Project',
  plural: 'projects',
  short: ['proj', 'project'],
  scope: 'global',
  uidPrefix: 'prj',
  summary: 'What a client sees: a set of servers and rules behind one MCP endpoint.',
  spec: z.strictObject({
    description: z.string().max(2000).optional().describe('For people.'),
    servers: z
      .array(Name)
      .max(500)
      .default([])
      .describe('The servers behind the endpoint; their order is the order of the tools.'),
    tools: ToolFilter.describe('Which tools of its servers the project offers.'),
    instructions: z
      .string()
      .max(32_768)
      .optional()
      .describe('Given to clients when they connect, before what the servers say.'),
    audit: Audit.describe('How the record of calls is kept.'),
    sessions: z
      .enum(['required', 'optional'])
      .default('required')
      .describe(
        'Whether a client of a protocol revision with sessions must have one (`required`, as the protocol says), or may send single requests without (`optional`: nothing is kept between them, and servers cannot ask it anything).',
      ),
    sessionIdleHours: z
      .number()
      .int()
      .min(1)
      .max(8760)
      .default(DEFAULT_IDLE_HOURS)
      .describe('A session that is not used for this long ends.'),
  }),
  status: z.strictObject({
    endpoint: z.string().optional().describe('Path of the MCP endpoint on this daemon.'),
    servers: z.string().optional().describe('How many servers are ready, of how many.'),
    sessions: z.number().optional().describe('Open client sessions.'),
  }),
  applyOrder: 30,
  columns: [
    { header: 'NAME', of: (project) => project.metadata.name },
    { header: 'SERVERS', of: (project) => project.status.servers ?? project.spec.servers.length },
    { header: 'SESSIONS', of: (project) => project.status.sessions },
    { header: 'ENDPOINT', of: (project) => project.status.endpoint },
    { header: 'DESCRIPTION', wide: true, of: (project) => project.spec.description },
  ],
  references: (spec) => spec.servers.map((name, i) => ({ kind: 'Server', name, path: `spec.servers[${i}]` })),
  check: (spec) =>
    spec.servers
      .filter((name, i) => spec.servers.indexOf(name) !== i)
      .map((name) => `spec.servers: ${name} is given twice`),
  example: { servers: ['everything', 'memory'], tools: { deny: ['memory__delete_*'] } },
})

export type Project = ResourceOf<typeof Project>
export type ProjectSpec = SpecOf<typeof Project>
