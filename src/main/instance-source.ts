import { hash } from 'node:crypto'
import type { InstanceSource } from '../control/instances/with-instances.ts'
import type { SnapshotSource } from '../control/snapshot/snapshot.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { Instance } from '../kinds/instance.ts'
import { THIS_DAEMON } from './this-daemon.ts'

export interface InstanceSourceDeps {
  readonly gateway: Pick<Gateway, 'instances' | 'stopInstance'>
  readonly snapshot: Pick<SnapshotSource, 'state'>
}

type View = ReturnType<Gateway['instances']>[number]

const isoTime = (ms: number): string => new Date(ms).toISOString()

/** The running copies of stdio servers as resources. */
export const createInstanceSource = ({ gateway, snapshot }: InstanceSourceDeps): InstanceSource => ({
  list: () =>
    gateway
      .instances()
      .filter(({ server }) => snapshot.state().servers.get(server) !== undefined)
      .map((view) => resourceOf(view, snapshot)),
  stop: (uid) => gateway.stopInstance(uid),
})

function resourceOf(
  { uid, name, server, sharing, sharer, madeAtMs, startedAtMs, ...view }: View,
  snapshot: InstanceSourceDeps['snapshot'],
): Instance {
  const { phase, pid, restarts, ended, events, mark } = view
  return {
    apiVersion: 'castellan/v1',
    kind: 'Instance',
    metadata: {
      name,
      labels: {},
      annotations: {},
      uid,
      generation: 1,
      createdAt: isoTime(madeAtMs),
      updatedAt: isoTime(events.at(-1)?.atMs ?? startedAtMs),
    },
    spec: { server, sharing, ...whose(sharer, snapshot) },
    status: {
      phase,
      ...(pid === undefined ? {} : { pid }),
      startedAt: isoTime(startedAtMs),
      restarts,
      ...(ended === undefined ? {} : { message: ended }),
      ...(mark === undefined ? {} : { mark }),
      daemon: THIS_DAEMON,
      events: events.map(({ atMs, what }) => ({ at: isoTime(atMs), what })),
    },
  }
}

/** Whose it is, as the record has it: never the id of a session, which is a credential of sorts. */
function whose(
  sharer: string,
  snapshot: InstanceSourceDeps['snapshot'],
): Pick<Instance['spec'], 'user' | 'session'> {
  if (sharer === '') return {}
  const [kind, rest = ''] = sharer.split(':', 2)
  if (kind === 'session') return { session: hash('sha256', rest, 'hex').slice(0, 16) }
  const found = snapshot.state().byUid.get(rest)
  if (found === undefined) return { user: kind === 'local-admin' ? 'local-admin' : 'somebody who is gone' }
  const { resource, project } = found
  return { user: `${resource.kind}:${project === '' ? '' : `${project}/`}${resource.metadata.name}` }
}
