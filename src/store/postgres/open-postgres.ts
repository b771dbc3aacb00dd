import { Fault } from '../../lib/fault.ts'
import type { Log } from '../../lib/log.ts'
import type { Store } from '../store.ts'

export function openPostgres(url: string, log: Log): Promise<Store> {
  log.debug({ length: url.length }, 'opening the store')
  return Promise.reject(new Fault('unavailable'))
}
