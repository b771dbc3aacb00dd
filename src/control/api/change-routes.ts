import type { KindDefinition } from '../../kinds/define-kind.ts'
import { Fault } from '../../lib/fault.ts'
import { validateManifest, type Admitted, type Expectation } from '../admission/validate.ts'
import type { ApplyOptions, Changed, Changes } from '../change/change.ts'
import type { KeptAnswer, KeptAnswers } from '../change/kept-answers.ts'
import type { PlanInput } from '../change/plan.ts'
import { createPause } from '../pause.ts'
import { parseManifests, parseOne, type ParsedDocument } from '../parse-manifests.ts'
import { readBody, type Body } from './body.ts'
import { etagOf, revisionsToMatch } from './etag.ts'
import { reachStored } from './find.ts'
import { makerOptions } from './maker.ts'
import { mergePatch } from './merge-patch.ts'
import { IDEMPOTENCY_KEY, onceOnly } from './once.ts'
import { present } from './present.ts'
import type { ReadDeps } from './read-routes.ts'
import type { ApiRecord } from './record.ts'
import { flag, json, type FixedRoute, type KindCall, type KindRoute } from './route.ts'

export interface ChangeRouteDeps extends ReadDeps {
  readonly changes: Changes
  readonly answers: KeptAnswers
  readonly record: ApiRecord
}

const FORCE = 'true: even if nobody is left who may do everything; for the administrator of the host.'
const PROJECT = { project: 'The project, for kinds that belong to one.', force: FORCE }
const OBJECT = (status: number) => ({ status, types: ['application/json'] })

const IF_MATCH = {
  'If-Match': 'ETags of an earlier answer: nothing is done (412) where it has been changed since.',
}

/** Changing one resource. */
export const changeRoutes = (deps: ChangeRouteDeps): readonly KindRoute[] => [
  {
    method: 'POST',
    path: '/api/v1/{word}',
    summary: 'Creates one. The answer to a new Token holds its secret, this once.',
    query: PROJECT,
    headers: IDEMPOTENCY_KEY,
    takesBody: true,
    permission: { verb: 'create', kind: '{word}' },
    answer: OBJECT(201),
    handleKind: (call) =>
      changeOne(deps, call, {
        options: { only: 'create' },
        status: 201,
        manifest: async (body) => admit(await parsed(body), expectationOf(call)),
      }),
  },
  {
    method: 'PUT',
    path: '/api/v1/{word}/{name}',
    summary: 'Replaces the spec, labels and annotations of one.',
    query: PROJECT,
    headers: IF_MATCH,
    takesBody: true,
    permission: { verb: 'edit', kind: '{word}' },
    answer: OBJECT(200),
    handleKind: (call) => {
      const { definition, name, project } = existing(deps, call, 'edit')
      return changeOne(deps, call, {
        options: { only: 'replace', ifMatch: revisionsToMatch(call.request) },
        status: 200,
        manifest: async (body) => admit(await parsed(body), { definition, name, project }),
      })
    },
  },
  {
    method: 'PATCH',
    path: '/api/v1/{word}/{name}',
    summary: 'Changes parts of one: a JSON merge patch (RFC 7396) on its manifest.',
    query: PROJECT,
    headers: IF_MATCH,
    takesBody: true,
    permission: { verb: 'edit', kind: '{word}' },
    answer: OBJECT(200),
    handleKind(call) {
      const { definition, name, project, resource, revision } = existing(deps, call, 'edit')
      return changeOne(deps, call, {
        options: { only: 'replace', madeFrom: revision, ifMatch: revisionsToMatch(call.request) },
        status: 200,
        manifest: async (body) =>
          admit(mergePatch(resource, await parsed(body)), { definition, name, project }),
      })
    },
  },
  {
    method: 'DELETE',
    path: '/api/v1/{word}/{name}',
    summary: 'Deletes one that nothing refers to.',
    query: PROJECT,
    headers: IF_MATCH,
    permission: { verb: 'delete', kind: '{word}' },
    answer: OBJECT(200),
    handleKind(call) {
      const { definition, params } = call
      const attempt = { verb: 'delete', kind: definition.plural, project: call.query['project'] } as const
      return deps.record.change(call, attempt, async (before) => {
        const target = existing(deps, call, 'delete')
        const { force } = makerOptions(call.principal, call.query['force'])
        const meant = { definition, name: target.name, project: target.project ?? '' }
        const ifMatch = revisionsToMatch(call.request)
        await deps.changes.remove(meant, before, { force: force === true, ifMatch })
        const name = params['name'] === target.name ? params['name'] : target.name
        return json({ kind: definition.kind, name, action: 'deleted' })
      })
    },
  },
]

/** Many manifests at once, of any kinds. */
export const applyRoute = (deps: ChangeRouteDeps): FixedRoute => ({
  method: 'POST',
  path: '/api/v1/apply',
  summary:
    'Creates and changes what the manifests say, all of it or nothing. YAML documents, JSON, or a List.',
  query: {
    dryRun: 'true: only say what would be done.',
    project: 'Taken where a manifest names no project.',
    force: FORCE,
  },
  headers: IDEMPOTENCY_KEY,
  takesBody: true,
  // Each change that comes of it needs its own permission besides.
  permission: { use: 'signed-in' },
  answer: OBJECT(200),
  handle: (call) =>
    deps.record.change(call, { verb: 'edit', kind: 'resources' }, async (before) => {
      const { request, query } = call
      const dryRun = flag('dryRun', query['dryRun'])
      const body = await readBody(request)
      const documents = await parseManifests(body.text, body.format)
      const inputs = await admitAll(documents, { project: query['project'] })
      const maker = makerOptions(call.principal, query['force'])
      return onceOnly(deps, call, {
        body,
        change: (once) => deps.changes.apply(inputs, before, { ...maker, ...once, dryRun }),
        answer: (changed) => Promise.resolve(answerOf(200, { results: changed.map(resultOf) })),
      })
    }),
})

const resultOf = ({ manifest, action, secret }: Changed): unknown => ({
  kind: manifest.definition.kind,
  name: manifest.name,
  ...(manifest.project === '' ? {} : { project: manifest.project }),
  action,
  // The one place besides POST where the secret of a new Token leaves; it is kept nowhere but in an answer with a key.
  ...(secret === undefined ? {} : { secret: secret.reveal() }),
})

interface OneChange {
  readonly options: ApplyOptions
  readonly status: number
  readonly manifest: (body: Body) => Promise<Admitted>
}

function changeOne(
  deps: ChangeRouteDeps,
  call: KindCall,
  { options, status, manifest }: OneChange,
): Promise<Response> {
  const { definition, query } = call
  const verb = options.only === 'create' ? 'create' : 'edit'
  const attempt = { verb, kind: definition.plural, project: query['project'] } as const
  return deps.record.change(call, attempt, async (before) => {
    const maker = makerOptions(call.principal, query['force'])
    const body = await readBody(call.request)
    const inputs = [{ where: '', manifest: await manifest(body) }]
    return onceOnly(deps, call, {
      body,
      change: (once) => deps.changes.apply(inputs, before, { ...maker, ...options, ...once }),
      answer: async (changed) => {
        const stored = changed.flatMap((one) => (one.stored === undefined ? [] : [one.stored]))
        const [resource] = await present(verb === 'create' ? withoutUses(deps) : deps, stored)
        const secret = changed[0]?.secret
        const shown = { ...resource, ...(secret === undefined ? {} : { secret: secret.reveal() }) }
        return answerOf(status, shown, stored[0]?.revision)
      },
    })
  })
}

/** What has just been made was used by nobody: nothing has to be read for it, which within a transaction nothing may. */
const withoutUses = (deps: ReadDeps): ReadDeps => ({ ...deps, tokenUses: () => Promise.resolve(new Map()) })

function answerOf(status: number, value: unknown, revision?: number): KeptAnswer {
  const body = `${JSON.stringify(value)}\n`
  return { status, body, etag: revision === undefined ? undefined : etagOf(revision, body) }
}

const parsed = ({ text, format }: Body): Promise<unknown> => parseOne(text, format)

const expectationOf = ({ definition, query }: KindCall): Expectation => ({
  definition,
  project: definition.scope === 'project' ? query['project'] : undefined,
})

function existing(
  deps: ChangeRouteDeps,
  { definition, params, query, access }: KindCall,
  verb: 'edit' | 'delete',
): {
  definition: KindDefinition
  name: string
  project: string | undefined
  resource: unknown
  revision: number
} {
  const wanted = { definition, name: params['name'] ?? '', project: query['project'] }
  const stored = reachStored({ state: deps.snapshot.state(), access }, verb, wanted)
  return {
    definition,
    name: stored.resource.metadata.name,
    project: stored.project === '' ? undefined : stored.project,
    resource: stored.resource,
    revision: stored.revision,
  }
}

function admit(document: unknown, expected: Expectation): Admitted {
  const admitted = validateManifest(document, expected)
  if (admitted.ok) return admitted.value
  throw new Fault('invalid', { problems: bounded(admitted.error), hint: EXPLAIN })
}

async function admitAll(
  documents: readonly ParsedDocument[],
  expected: Expectation,
): Promise<readonly PlanInput[]> {
  if (documents.length === 0) throw new Fault('invalid', { problems: ['there is no manifest in the body'] })
  const problems: string[] = []
  const inputs: PlanInput[] = []
  const pause = createPause()
  for (const { where, value } of documents) {
    await pause()
    const admitted = validateManifest(value, expected)
    if (admitted.ok) {
      const { definition, name } = admitted.value
      inputs.push({ where: `${where} (${definition.kind}/${name})`, manifest: admitted.value })
    } else {
      const label = labelFor(where, value)
      problems.push(...admitted.error.map((problem) => `${label}: ${problem}`))
    }
  }
  if (problems.length > 0)
    throw new Fault('invalid', { problems: bounded(problems), hint: `nothing was changed; ${EXPLAIN}` })
  return inputs
}

const EXPLAIN = 'castellan explain KIND shows its fields'

/** `document 2 (Server/foo)`, as far as the document says so in a form that can be repeated. */
function labelFor(where: string, document: unknown): string {
  const { kind, metadata } = (document ?? {}) as { kind?: unknown; metadata?: { name?: unknown } | null }
  const name = metadata?.name
  const fits = (text: unknown, form: RegExp): text is string => typeof text === 'string' && form.test(text)
  return fits(kind, /^[A-Za-z]{1,32}$/) && fits(name, /^[A-Za-z0-9-]{1,40}$/)
    ? `${where} (${kind}/${name})`
    : where
}

const MAX_PROBLEMS = 50

const bounded = (problems: readonly string[]): readonly string[] =>
  problems.length <= MAX_PROBLEMS
    ? problems
    : [...problems.slice(0, MAX_PROBLEMS), `and ${problems.length - MAX_PROBLEMS} more`]
