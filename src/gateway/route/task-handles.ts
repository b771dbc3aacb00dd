import { createHmac, timingSafeEqual } from 'node:crypto'

/**
 * What clients hold of a task (extension `io.modelcontextprotocol/tasks`): the id that its server gave it, which server that
 * is and of which tool it came, under a digest that only we can make and that holds for one principal and one project. The
 * same in all processes of one database and after a restart; nothing is kept.
 */
export interface TaskHandles {
  give(owner: TaskOwner, task: HandledTask): string
  /** Undefined: not one that was given to this principal here. */
  read(owner: TaskOwner, handle: string): HandledTask | undefined
}

export interface TaskOwner {
  /** `Principal.key` */
  readonly principal: string
  readonly project: string
}

export interface HandledTask {
  readonly server: string
  /** By its name on the aggregated endpoint, which rules and records speak of. */
  readonly tool: string
  /** As the server calls it. */
  readonly taskId: string
}

const PREFIX = 'ctt1.'
const MAX_CHARS = 8192

/** @param key 32 bytes, the same in all processes of one database */
export function createTaskHandles(key: Buffer): TaskHandles {
  const own = createHmac('sha256', key).update('task handles').digest()

  function digest({ principal, project }: TaskOwner, body: string): string {
    const text = JSON.stringify([principal, project, body])
    return createHmac('sha256', own).update(text).digest('base64url')
  }

  return {
    give(owner, { server, tool, taskId }) {
      const body = Buffer.from(JSON.stringify([server, tool, taskId])).toString('base64url')
      return `${PREFIX}${body}.${digest(owner, body)}`
    },
    read(owner, handle) {
      if (!handle.startsWith(PREFIX) || handle.length > MAX_CHARS) return undefined
      const [body = '', mac = '', ...more] = handle.slice(PREFIX.length).split('.')
      if (more.length > 0 || !isEqual(mac, digest(owner, body))) return undefined
      // Ours, so it is what we wrote.
      const [server, tool, taskId] = JSON.parse(Buffer.from(body, 'base64url').toString()) as [
        string,
        string,
        string,
      ]
      return { server, tool, taskId }
    },
  }
}

function isEqual(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}
