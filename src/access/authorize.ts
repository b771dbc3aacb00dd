import type { Principal, TokenPrincipal } from './principal.ts'

/** `view` reads, `create`, `edit` and `delete` change, `run` does something that is none of these. */
export type Verb = 'view' | 'create' | 'edit' | 'delete' | 'run'

/**
 * What a caller needs for what it wants to do. Every route and every step declares one.
 *
 * `kind` is the plural of a resource kind, or one of the daemon's own: `kinds` (what there is to know about kinds),
 * `daemon`, `audit`, `logs`. `name` and `project` are resolved names, never what was typed.
 */
export type Permission =
  | {
      readonly verb: Verb
      readonly kind: string
      readonly name?: string | undefined
      readonly project?: string | undefined
    }
  | { readonly use: 'mcp'; readonly project: string }

/** `other-project`: a token outside its project. `no-right`: nothing gives this principal the permission. */
export type Denial = { readonly reason: 'other-project' | 'no-right' }

const OTHER_PROJECT: Denial = { reason: 'other-project' }
const NO_RIGHT: Denial = { reason: 'no-right' }

/**
 * The only authorizer (law 2).
 *
 * @returns undefined when the principal may do it, the reason for the record otherwise
 */
export function authorize(principal: Principal, permission: Permission): Denial | undefined {
  if (principal.kind === 'local-admin') return undefined
  const own: TokenPrincipal = principal
  if (!('use' in permission)) return NO_RIGHT
  return permission.project === own.project ? undefined : OTHER_PROJECT
}
