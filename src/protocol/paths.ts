import type { Wanted } from './json-scan.ts'

/** Every path of a JSON-RPC message that the gateway looks at; a path's position in this list is its index. */
// oxfmt-ignore
const PATHS = [
  'jsonrpc', 'id', 'method', 'params', 'result', 'error',
  'params/name', 'params/uri', 'params/cursor', 'params/arguments', 'params/level',
  'params/ref', 'params/ref/type', 'params/ref/name', 'params/ref/uri',
  'params/requestId', 'params/progressToken', 'params/protocolVersion', 'params/capabilities', 'params/clientInfo',
  'params/requestState', 'params/inputResponses', 'params/taskId',
  'params/_meta', 'params/_meta/progressToken',
  'params/_meta/io.modelcontextprotocol.protocolVersion', 'params/_meta/io.modelcontextprotocol.clientCapabilities',
  'params/_meta/io.modelcontextprotocol.clientInfo', 'params/_meta/io.modelcontextprotocol.logLevel',
  'params/_meta/io.modelcontextprotocol.clientInfo/name', 'params/_meta/io.modelcontextprotocol.clientInfo/version',
  'result/isError', 'result/resultType', 'result/_meta', 'result/nextCursor',
  'error/code',
] as const

export type Path = (typeof PATHS)[number]

export const PATH_COUNT = PATHS.length

/** Index of a path, resolved once where it is used: `const NAME = pathIndex('params/name')`. */
export const pathIndex = (path: Path): number => PATHS.indexOf(path)

interface Growing {
  index: number
  children: { key: string; value: Growing }[] | undefined
}

function grow(): Wanted {
  const root: Growing = { index: -1, children: [] }
  for (const [index, path] of PATHS.entries()) {
    let node = root
    for (const step of path.split('/')) {
      const key = step.replace('io.modelcontextprotocol.', 'io.modelcontextprotocol/')
      node.children ??= []
      let member = node.children.find((one) => one.key === key)
      if (member === undefined) {
        member = { key, value: { index: -1, children: undefined } }
        node.children.push(member)
      }
      node = member.value
    }
    node.index = index
  }
  return root
}

export const MESSAGE_PATHS: Wanted = grow()
