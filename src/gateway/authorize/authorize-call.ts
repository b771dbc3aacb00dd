import { need, type Exchange, type Refusal } from '../exchange.ts'
import { isOffered } from '../route/route.ts'

/** The rules of the project on one tool. What is not offered does not exist, as far as the caller can tell. */
export function authorizeCall(x: Exchange): Refusal | undefined {
  if (isOffered(need(x.project, 'project'), need(x.route, 'route'))) return undefined
  return { code: 'not_found', hint: 'tools/list says which tools there are', detail: 'denied by spec.tools' }
}
