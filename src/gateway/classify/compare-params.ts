import { paramProblem, PARAM_PREFIX, type ParamProblem } from '../../protocol/param-headers.ts'
import { need, type Exchange, type Refusal } from '../exchange.ts'
import { sentTwice } from './sent-twice.ts'

/**
 * The step `compare`: arguments that a modern client repeats in `Mcp-Param-*` must be the same there (MCP 2026-07-28,
 * Streamable HTTP). After `authorize`, since which arguments these are is told by the tool.
 */
export function compareParams(x: Exchange): Refusal | undefined {
  const params = x.route?.params
  if (params === undefined || x.era === 'legacy') return undefined
  const call = need(x.message, 'message')
  const { headers } = x.request
  for (const param of params) {
    const value = headers[param.header]
    const header = typeof value === 'string' ? value : undefined
    const problem = sentTwice(x.request, param.header) ? 'twice' : paramProblem(call, param, header)
    if (problem !== undefined)
      return {
        code: 'header_mismatch',
        hint: `${titled(param.header)} ${SAYS[problem]}; tools/list says which arguments travel in headers`,
      }
  }
  return undefined
}

const SAYS = {
  missing: 'is missing',
  unexpected: 'is there without its argument',
  malformed: 'is not encoded as it must be',
  different: 'differs from its argument',
  twice: 'was sent twice',
} as const satisfies Record<ParamProblem | 'twice', string>

/** The name is the tool's, not the caller's. */
const titled = (header: string): string => `Mcp-Param-${header.slice(PARAM_PREFIX.length)}`
