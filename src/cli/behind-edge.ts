import { isLoopback } from '../lib/loopback.ts'
import { unavailable } from './failure.ts'
import { sendHttp } from './http-request.ts'
import { type Target } from './target.ts'

/** Asked once: a command may send many requests. */
const known = new Map<string, Promise<URL>>()

/**
 * The control plane behind an edge gateway, which says of itself where that is; a daemon that is no edge is meant
 * itself. The credential goes there: an edge is trusted with it anyway, since it passes it on.
 *
 * @throws CliFailure when nothing answers, or the way there is less safe than the way to the edge
 */
export async function behindEdge(target: Target): Promise<Target> {
  const { origin } = target.url
  const found = known.get(origin) ?? controlOf(target.url)
  known.set(origin, found)
  return Object.assign({}, target, { url: await found })
}

async function controlOf(edge: URL): Promise<URL> {
  const url = new URL('/edge-info', edge)
  const answer = await sendHttp(url, { method: 'GET', headers: {}, timeoutMs: 30_000 })
  const control = answer.status === 200 ? controlIn(answer.body) : undefined
  if (control === undefined) return edge
  if (edge.protocol === 'https:' && control.protocol === 'http:' && !isLoopback(control.hostname))
    throw unavailable(
      'the control plane is reached without encryption from here, the edge gateway with it',
      'leave --direct out, or give the control plane an https address',
    )
  return control
}

function controlIn(body: string): URL | undefined {
  try {
    const { control } = JSON.parse(body) as { readonly control?: unknown }
    const url = typeof control === 'string' && URL.canParse(control) ? new URL(control) : undefined
    return url !== undefined && /^https?:$/.test(url.protocol) ? url : undefined
  } catch {
    // Some page that answers to every path: no edge of ours.
    return undefined
  }
}
