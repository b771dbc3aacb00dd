import { hostname } from 'node:os'

/** How a status names the daemon that it is of: several can share a host, and a database. */
export const THIS_DAEMON = `${hostname()}/${process.pid}`
