/** The `_meta` keys of 2026-07-28 that take the place of a session: who speaks which revision and can do what. */
export const VERSION_KEY = 'io.modelcontextprotocol/protocolVersion'
export const CAPABILITIES_KEY = 'io.modelcontextprotocol/clientCapabilities'
export const CLIENT_INFO_KEY = 'io.modelcontextprotocol/clientInfo'
export const LOG_LEVEL_KEY = 'io.modelcontextprotocol/logLevel'
export const SERVER_INFO_KEY = 'io.modelcontextprotocol/serverInfo'

/** The extension of 2026-07-28 for calls that go on after their answer; not the tasks of 2025-11-25. */
export const TASKS_KEY = 'io.modelcontextprotocol/tasks'

/** An extension that consists of methods of its own (SEP-2640). */
export const SKILLS_KEY = 'io.modelcontextprotocol/skills'

export const ENVELOPE_KEYS: readonly string[] = [
  VERSION_KEY,
  CAPABILITIES_KEY,
  CLIENT_INFO_KEY,
  LOG_LEVEL_KEY,
]

export interface Implementation {
  readonly name: string
  readonly version: string
}
