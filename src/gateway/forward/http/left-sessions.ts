import type { ServerView } from '../../snapshot.ts'
import type { Dial } from '../dial/dial.ts'
import type { UpstreamSession } from './upstream-sessions.ts'

/**
 * Ends sessions that another process has left at their servers, each at most once. A Server that is no more where the
 * session was opened is told nothing.
 *
 * @returns those that their server has not answered about: they can be tried another time
 */
export type EndLeftSessions = <Session extends UpstreamSession>(
  sessions: readonly Session[],
) => Promise<readonly Session[]>

export interface LeftSessionsDeps {
  readonly dial: Pick<Dial, 'endSession'>
  readonly server: (name: string, uid: string) => ServerView | undefined
}

const SERVERS_AT_ONCE = 16
const AT_ONE_SERVER = 4

export const createEndLeftSessions =
  ({ dial, server }: LeftSessionsDeps): EndLeftSessions =>
  async (sessions) => {
    const unanswered: (typeof sessions)[number][] = []
    const servers = [...Map.groupBy(sessions, ({ serverUid }) => serverUid).values()]
    await eachOf(servers, SERVERS_AT_ONCE, async (group) => {
      let answers = true
      await eachOf(group, AT_ONE_SERVER, async (session) => {
        const view = server(session.server, session.serverUid)
        if (view === undefined || !isWhereItWas(view, session)) return
        // Who is silent once would be waited for as often as there are sessions.
        answers &&= await dial.endSession(view, session)
        if (!answers) unanswered.push(session)
      })
    })
    return unanswered
  }

const isWhereItWas = ({ uid, spec }: ServerView, { serverUid, url }: UpstreamSession): boolean =>
  uid === serverUid && spec.transport !== 'stdio' && spec.url === url

/** Works on all of them, on so many at a time. */
async function eachOf<Item>(
  items: readonly Item[],
  width: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const rest = items.values()
  await Promise.all(
    Array.from({ length: Math.min(width, items.length) }, async () => {
      for (const item of rest) await work(item)
    }),
  )
}
