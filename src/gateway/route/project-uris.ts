import { stringIn } from '../../protocol/bridge/result-uris.ts'
import { serverUri } from '../../protocol/server-uri.ts'
import type { Scope } from '../forward/pool.ts'
import type { ServerView } from '../snapshot.ts'
import type { Catalog, ServerList } from './catalog.ts'
import type { CompiledProject } from './compiled-project.ts'
import type { ListKind } from './listed-item.ts'
import { EXPRESSION, fits } from './resource-table.ts'

/**
 * How resources are called on the endpoint of a project. Nearly all by the URI that their server gives them; where two
 * servers have the same one, or one has a template that a URI of another fits, by one that names the server.
 */
export interface ProjectUris {
  /** Undefined: this server's URIs stay as they are. */
  of(server: string): ServerUris | undefined
  /** Equal for equal names. */
  readonly signature: string
}

export interface ServerUris {
  /** @param uri a URI of the server, listed or not */
  expose(uri: string): string
  exposeTemplate(template: string): string
}

/** What one server is known to have. */
interface KnownLists {
  readonly server: ServerView
  readonly resources: ServerList | undefined
  readonly templates: ServerList | undefined
  readonly tools: ServerList | undefined
}

export interface UriTable {
  /** From the lists that are known, without asking anybody. Undefined: it cannot come to a collision. */
  known(project: CompiledProject, scope: Scope): ProjectUris | undefined
  /** The same once all lists are there. */
  load(project: CompiledProject, scope: Scope): Promise<ProjectUris | undefined>
}

interface Computed {
  version: number
  readonly uris: ProjectUris | undefined
}

const MAX_CACHED = 2000
/** All that can hold URIs: pages of tools may be listed nowhere else. */
const KINDS = ['resources', 'templates', 'tools'] as const satisfies readonly ListKind[]

export function createUriTable({ catalog }: { readonly catalog: Catalog }): UriTable {
  const byProject = new WeakMap<CompiledProject, Map<string, Computed>>()

  function compute(project: CompiledProject, scope: Scope, before: ProjectUris | undefined): Computed {
    const seen = (server: ServerView, kind: ListKind): ServerList | undefined =>
      catalog.seen(server, scope, kind)
    const lists = project.view.servers.map((server) => ({
      server,
      resources: seen(server, 'resources'),
      templates: seen(server, 'templates'),
      tools: seen(server, 'tools'),
    }))
    const uris = projectUris(lists)
    // One object for as long as nothing changes, so that what was rendered with it can be kept.
    const same = uris !== undefined && uris.signature === before?.signature
    return { version: catalog.version, uris: same ? before : uris }
  }

  function known(project: CompiledProject, scope: Scope): ProjectUris | undefined {
    if (project.view.servers.length < 2) return undefined
    let cache = byProject.get(project)
    if (cache === undefined || cache.size > MAX_CACHED) byProject.set(project, (cache = new Map()))
    const key = project.hasOwnLists ? `${scope.principal} ${scope.session ?? ''}` : ''
    let computed = cache.get(key)
    if (computed?.version !== catalog.version) {
      computed = compute(project, scope, computed?.uris)
      cache.set(key, computed)
    }
    return computed.uris
  }

  return {
    known,
    async load(project, scope) {
      const { servers } = project.view
      if (servers.length < 2) return undefined
      await Promise.all(servers.flatMap((server) => KINDS.map((kind) => catalog.load(server, scope, kind))))
      return known(project, scope)
    },
  }
}

/** Comparisons of URIs with templates; what is left after them counts as a collision, which is never wrong. */
const MAX_COMPARISONS = 500_000

function projectUris(all: readonly KnownLists[]): ProjectUris | undefined {
  const having = all
    .map((lists) => ({
      server: lists.server.name,
      uris: urisOf(lists),
      templates: [...(lists.templates?.byKey.keys() ?? [])],
    }))
    .filter(({ uris, templates }) => uris.size + templates.length > 0)
  if (having.length < 2) return undefined
  const owners = countOwners(having.map(({ uris }) => uris))
  const shapes = countOwners(having.map(({ templates }) => new Set(templates.map(shapeOf))))
  let comparisons = 0
  const fitsOthers = (server: string, template: string): boolean =>
    having.some(
      (other) =>
        other.server !== server &&
        some(other.uris, (uri) => ++comparisons > MAX_COMPARISONS || fits(template, uri)),
    )
  const byServer = new Map<string, ServerUris>()
  const told: unknown[] = []
  for (const { server, uris, templates } of having) {
    const equal = [...uris].filter((uri) => (owners.get(uri) ?? 0) > 1)
    const open = templates.filter(
      (template) =>
        serverUri(server, template) !== undefined &&
        ((shapes.get(shapeOf(template)) ?? 0) > 1 || fitsOthers(server, template)),
    )
    if (equal.length + open.length === 0) continue
    byServer.set(server, createServerUris(server, new Set(equal), open))
    told.push([server, equal, open])
  }
  return { of: (server) => byServer.get(server), signature: JSON.stringify(told) }
}

function createServerUris(server: string, equal: ReadonlySet<string>, open: readonly string[]): ServerUris {
  return {
    expose: (uri) =>
      equal.has(uri) || open.some((template) => fits(template, uri)) ? (serverUri(server, uri) ?? uri) : uri,
    exposeTemplate: (template) =>
      open.includes(template) ? (serverUri(server, template) ?? template) : template,
  }
}

/** Two templates that differ in the names of their variables only fit the same URIs. */
const shapeOf = (template: string): string => template.replace(EXPRESSION, '{}')

function urisOf({ resources, tools }: KnownLists): Set<string> {
  const uris = new Set(resources?.byKey.keys())
  for (const { text, pages } of tools?.items ?? [])
    for (const place of pages ?? []) {
      const uri = stringIn(text, place)
      if (uri !== undefined) uris.add(uri)
    }
  return uris
}

function countOwners(sets: readonly ReadonlySet<string>[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const set of sets) for (const one of set) counts.set(one, (counts.get(one) ?? 0) + 1)
  return counts
}

function some(values: Iterable<string>, holds: (value: string) => boolean): boolean {
  for (const value of values) if (holds(value)) return true
  return false
}
