import { notificationMessage } from '../../../protocol/json-rpc.ts'
import { ownMessage } from '../dial/handshake.ts'
import { LISTS } from '../reports.ts'
import type { Reports, UpstreamEvents } from '../upstream.ts'

/** Nobody listened for a while: everything that is reported may have changed. */
export function announceGap(events: UpstreamEvents, reports: Reports, uris: Iterable<string>): void {
  for (const list of LISTS) if (reports[list]) events.changed(list)
  for (const uri of uris)
    events.notified(ownMessage(notificationMessage('notifications/resources/updated', { uri })))
}
