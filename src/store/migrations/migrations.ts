import { resources } from './control-0001-resources.ts'
import type { Migration } from './migration.ts'
import { sessions } from './state-0001-sessions.ts'

/* A migration's number is its position, from 1; its file is named after it. New ones are added at the end. */

export const CONTROL_MIGRATIONS: readonly Migration[] = [resources]
export const STATE_MIGRATIONS: readonly Migration[] = [sessions]
