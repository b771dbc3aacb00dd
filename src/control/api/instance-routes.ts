import type { InstanceSpec, InstanceStatus } from '../../kinds/instance.ts'
import { LOG_QUERY, logRequest, streamed, type DaemonRouteDeps } from './daemon-routes.ts'
import { kindFor, reachStored } from './find.ts'
import { text, type FixedRoute } from './route.ts'

/** What one copy of a stdio Server wrote: its lines in the log of that Server. */
export const instanceRoutes = (deps: Pick<DaemonRouteDeps, 'snapshot' | 'logs'>): readonly FixedRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/instances/{name}/logs',
    summary: 'What one copy of a stdio Server wrote to its standard error, of the last lines of all copies.',
    query: LOG_QUERY,
    permission: { operation: 'logs', kind: 'instances', name: '{name}' },
    answer: { status: 200, types: ['text/plain'] },
    handle({ request, query, params, access }) {
      const wanted = { definition: kindFor('instances'), name: params['name'] ?? '', project: undefined }
      const { resource } = reachStored({ state: deps.snapshot.state(), access }, 'view', wanted)
      access.demand({ operation: 'logs', kind: 'instances', name: resource.metadata.name })
      const { server } = resource.spec as InstanceSpec
      const { mark } = resource.status as InstanceStatus
      return text(streamed(ofMark(deps.logs.server(server, logRequest(request, query)), mark)))
    },
  },
]

/** A time stands before each line, then the mark. */
async function* ofMark(lines: AsyncIterable<string>, mark: string | undefined): AsyncGenerator<string> {
  for await (const line of lines) {
    if (mark === undefined || line.slice(line.indexOf(' ') + 1).startsWith(`[${mark}] `)) yield line
  }
}
