import { setTimeout as sleep } from 'node:timers/promises'
import type { ProjectSpec } from '../../kinds/project.ts'
import { asFault, Fault } from '../../lib/fault.ts'
import { isUid } from '../../lib/id.ts'
import { validateManifest, type Admitted } from '../admission/validate.ts'
import { keyOf, type Stored } from '../stored.ts'
import { permissionOn } from './call-access.ts'
import type { ChangeRouteDeps } from './change-routes.ts'
import { kindFor, reachStored } from './find.ts'
import { mergePatch } from './merge-patch.ts'
import { json, type Call, type FixedRoute } from './route.ts'

const PATH = '/api/v1/projects/{name}/servers/{server}'
const PERMISSION = { verb: 'edit', kind: 'projects', name: '{name}' } as const
const ANSWER = { status: 200, types: ['application/json'] } as const

/** One server of a Project. Whoever changes another one at the same time loses nothing. */
export const attachRoutes = (deps: ChangeRouteDeps): readonly FixedRoute[] => [
  {
    method: 'POST',
    path: PATH,
    summary: 'Puts a Server behind a Project, after those that it has; one that is there already stays.',
    permission: PERMISSION,
    answer: ANSWER,
    handle: (call) =>
      changeServers(deps, call, (servers, { name }) =>
        servers.includes(name) ? servers : [...servers, name],
      ),
  },
  {
    method: 'DELETE',
    path: PATH,
    summary: 'Takes a Server out of a Project; one that is not there stays away.',
    permission: PERMISSION,
    answer: ANSWER,
    handle: (call) =>
      changeServers(deps, call, (servers, { name }) => servers.filter((server) => server !== name)),
  },
]

type Edit = (servers: readonly string[], server: { readonly name: string }) => readonly string[]

/** With others at work on the same Project; each of them is done after one more attempt of ours. */
const ATTEMPTS = 20
/** What another daemon has written is in this one's snapshot after so long, mostly. */
const PAUSE_MS = 25

async function changeServers(deps: ChangeRouteDeps, call: Call, edit: Edit): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await changeOnce(deps, call, edit)
    } catch (thrown) {
      if (asFault(thrown).code !== 'changed_meanwhile' || attempt === ATTEMPTS) throw thrown
    }
    await sleep(PAUSE_MS)
  }
}

function changeOnce(deps: ChangeRouteDeps, call: Call, edit: Edit): Promise<Response> {
  const { params, request } = call
  const attempt = { verb: 'edit', kind: 'projects', name: params['name'] } as const
  return deps.record.change(call, attempt, async (before) => {
    const project = reachStored({ state: deps.snapshot.state(), access: call.access }, 'edit', {
      definition: kindFor('projects'),
      name: params['name'] ?? '',
      project: undefined,
    })
    const server = serverMeant(deps, call, request.method === 'POST')
    const { servers } = project.resource.spec as ProjectSpec
    const manifest = withServers(project, edit(servers, { name: server }))
    const options = { only: 'replace', ifMatch: [project.revision] } as const
    const [changed] = await deps.changes.apply([{ where: '', manifest }], before, options)
    const action = changed?.action ?? 'unchanged'
    return json({ kind: 'Project', name: manifest.name, server, action })
  })
}

function withServers({ definition, resource }: Stored, servers: readonly string[]): Admitted {
  const { name } = resource.metadata
  const admitted = validateManifest(mergePatch(resource, { spec: { servers } }), { definition, name })
  if (admitted.ok) return admitted.value
  throw new Fault('invalid', { problems: admitted.error, hint: 'nothing was changed' })
}

/**
 * Its name. One that is to be attached has to be there, and the caller's to use; whoever may change the Project may
 * take any out of it.
 *
 * @throws Fault `not_found`, `forbidden`
 */
function serverMeant({ snapshot }: ChangeRouteDeps, { params, access }: Call, attaching: boolean): string {
  const state = snapshot.state()
  const given = params['server'] ?? ''
  const definition = kindFor('servers')
  const named = state.resources.get(definition.kind)?.get(keyOf('', given))
  const byUid = isUid(given) ? state.byUid.get(given) : undefined
  const found = named ?? (byUid?.definition === definition ? byUid : undefined)
  if (!attaching) return found?.resource.metadata.name ?? given
  const verb = found !== undefined && access.decide(permissionOn('edit', found)).allowed ? 'edit' : 'run'
  return access.reach(verb, { definition, name: given, project: undefined }, found).resource.metadata.name
}
