import { compileFilter } from '../../protocol/glob.ts'
import type { ProjectView, ServerView } from '../snapshot.ts'

/** A project with what is derived from its view, once per view: views keep their identity while nothing changed. */
export interface CompiledProject {
  readonly view: ProjectView
  readonly servers: ReadonlyMap<string, ServerView>
  /** By the name on the aggregated endpoint. */
  offers(exposed: string): boolean
}

export type CompileProject = (view: ProjectView) => CompiledProject

export function createProjectCompiler(): CompileProject {
  const compiled = new WeakMap<ProjectView, CompiledProject>()
  return (view) => {
    let project = compiled.get(view)
    if (project === undefined) {
      project = {
        view,
        servers: new Map(view.servers.map((server) => [server.name, server])),
        offers: compileFilter(view.spec.tools),
      }
      compiled.set(view, project)
    }
    return project
  }
}
