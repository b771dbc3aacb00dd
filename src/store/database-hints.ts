/* What to do about a database that refuses, in the words of both kinds of it. */

export const ALREADY_EXISTS = 'there is one by that name already'
export const DISK_FULL = 'the disk of the database is full; nothing was changed; free some space and repeat'
export const CANNOT_WRITE =
  'the database cannot be written; check that its disk is mounted for writing and that the daemon may write there'
export const DATABASE_BUSY = 'another process holds the database; repeat, or stop the other process'
export const DATABASE_DAMAGED =
  'the database file is damaged or not one of Castellan; restore it from a backup'
export const WORKER_ENDED =
  'the database worker has ended; restart the daemon; the log of the daemon has the reason'
export const STORE_CLOSED = 'the store is closed; the daemon is shutting down'
export const CANNOT_CONNECT =
  'the database cannot be reached; check its address and that it is running, and see the log of the daemon'
export const LOGIN_REFUSED =
  'the database refuses the login; check user, password and database name of the address, and the rights of that user'
export const TOO_MANY_CONNECTIONS =
  'the database has no connection left; repeat, or raise its connection limit'
export const REPEAT = 'another change was going on at the same time; repeat'
export const NEWER_DATABASE =
  'the database was written by a newer version of Castellan; run that version, or restore a backup of this one'
