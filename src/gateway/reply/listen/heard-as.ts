import type { Watched } from '../../forward/feeds.ts'
import type { Listener } from './bus.ts'
import { renamedChange } from './change.ts'

/** A resource that somebody has subscribed to, and who is told of its changes. */
export interface Heard extends Watched {
  readonly as: Listener
}

/** @param exposed what the client calls it: changes are told under that URI */
export const heardAs = (watched: Watched, exposed: string, listener: Listener): Heard => ({
  ...watched,
  as: exposed === watched.uri ? listener : renamed(exposed, listener),
})

const renamed = (exposed: string, listener: Listener): Listener => ({
  principal: listener.principal,
  session: listener.session,
  project: listener.project,
  server: listener.server,
  listsChanged: (lists) => listener.listsChanged(lists),
  updated: (_uri, change) => listener.updated(exposed, renamedChange(change, exposed)),
})
