import { anthropic, claude } from './compiled/anthropic.ts'
import { aws } from './compiled/aws.ts'
import { gemini } from './compiled/gemini.ts'
import { github } from './compiled/github.ts'
import { graphite } from './compiled/graphite.ts'
import { meta } from './compiled/meta.ts'
import { npm } from './compiled/npm.ts'
import { openai } from './compiled/openai.ts'
import { mcp, oauth } from './compiled/servers.ts'
import { ssh } from './compiled/ssh.ts'
import type { Provider } from './define-provider.ts'

/** Providers whose names no file can take. */
export const COMPILED: readonly Provider[] = [
  mcp,
  oauth,
  github,
  claude,
  anthropic,
  openai,
  gemini,
  npm,
  graphite,
  meta,
  aws,
  ssh,
]
