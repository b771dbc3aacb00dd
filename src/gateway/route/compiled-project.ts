import { compileFilter } from '../../protocol/glob.ts'
import { createLinksSeen, type LinksSeen } from './links-seen.ts'
import type { ProjectView, ServerView } from '../snapshot.ts'

/** A project with what is derived from its view, once per view: views keep their identity while nothing changed. */
export interface CompiledProject {
  readonly view: ProjectView
  readonly servers: ReadonlyMap<string, ServerView>
  /** Connections that are not shared may have lists of their own. */
  readonly hasOwnLists: boolean
  readonly links: LinksSeen
  /** By the name on the aggregated endpoint. */
  offers(exposed: string): boolean
}

export const hasOwnLists = ({ spec }: ServerView): boolean =>
  spec.transport === 'stdio' && spec.instances !== 'shared'

export type CompileProject = (view: ProjectView) => CompiledProject

export function createProjectCompiler(): CompileProject {
  const compiled = new WeakMap<ProjectView, CompiledProject>()
  return (view) => {
    let project = compiled.get(view)
    if (project === undefined) {
      project = {
        view,
        servers: new Map(view.servers.map((server) => [server.name, server])),
        hasOwnLists: view.servers.some(hasOwnLists),
        links: createLinksSeen(),
        offers: compileFilter(view.spec.tools),
      }
      compiled.set(view, project)
    }
    return project
  }
}
