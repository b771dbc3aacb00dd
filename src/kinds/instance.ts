import { z } from 'zod'
import { defineKind, Name, type ResourceOf, type SpecOf, type StatusOf } from './define-kind.ts'

/** `{server}-{n}`: longer than the name of a Server can be. */
const InstanceName = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?$/, 'must be as castellan get instances shows it')

const Event = z.strictObject({
  at: z.string().describe('When.'),
  what: z.string().describe('What happened, in a few words.'),
})

export const Instance = defineKind({
  kind: 'Instance',
  plural: 'instances',
  short: ['instance', 'ins'],
  scope: 'global',
  name: InstanceName,
  uidPrefix: 'ins',
  systemMade: true,
  summary:
    'One running copy of a stdio Server on this daemon; deleting it stops it, and the next call that needs it starts another.',
  spec: z.strictObject({
    server: Name.describe('What it is a copy of.'),
    sharing: z
      .enum(['shared', 'per-principal', 'per-session'])
      .describe('Who shares it: `spec.instances` of the Server.'),
    user: z.string().optional().describe('Whose it is, where it is not shared by all: `User:ada`.'),
    session: z
      .string()
      .optional()
      .describe('The session whose it is, where each has its own: a digest, as in the record.'),
  }),
  status: z.strictObject({
    phase: z
      .enum(['Starting', 'Running', 'Ended'])
      .describe('Ended: it ended by itself; the next call that needs it starts it again.'),
    pid: z.number().optional().describe('Of the process (of its sandbox, where that is bubblewrap).'),
    startedAt: z.string().describe('When it was started last.'),
    restarts: z.number().describe('How often it was started again after it had ended by itself.'),
    message: z.string().optional().describe('Why it ended.'),
    mark: z
      .string()
      .optional()
      .describe('What stands in brackets before its lines in the log of the Server; absent: nothing does.'),
    daemon: z
      .string()
      .describe('The daemon that runs it, by host and process; each daemon of a database lists its own.'),
    events: z.array(Event).describe('What happened to it, the newest last; at most 50.'),
  }),
  applyOrder: 70,
  columns: [
    { header: 'NAME', of: (instance) => instance.metadata.name },
    { header: 'SERVER', of: (instance) => instance.spec.server },
    { header: 'PHASE', of: (instance) => instance.status.phase },
    { header: 'OF', of: ({ spec }) => spec.user ?? spec.session ?? spec.sharing },
    { header: 'PID', of: (instance) => instance.status.pid },
    { header: 'RESTARTS', of: (instance) => instance.status.restarts },
    { header: 'STARTED', of: (instance) => instance.status.startedAt },
    { header: 'DAEMON', wide: true, of: (instance) => instance.status.daemon },
    { header: 'MESSAGE', wide: true, of: (instance) => instance.status.message },
  ],
  example: { server: 'memory', sharing: 'shared' },
})

/** The Server of which an instance by this name is a copy: `{server}-{n}`. */
export const serverOf = (name: string): string => name.replace(/-\d+$/, '')

export type Instance = ResourceOf<typeof Instance>
export type InstanceSpec = SpecOf<typeof Instance>
export type InstanceStatus = StatusOf<typeof Instance>
