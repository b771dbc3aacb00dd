import { Agent } from 'node:http'
import type { Era } from '../src/protocol/revisions.ts'
import { count, type Drive, type Job } from './job.ts'
import { post, type Posting } from './post.ts'

/** What the client says when it is asked. */
const SAID = '{"action":"accept","content":{"sure":true}}'
/** The last words of the null upstream. */
const DONE = '"text":"ok"'

/** One call after the other, in each of which the client is asked once and answers. */
export function openAsked(job: Job, era: Era, index: number): Drive {
  const agent = new Agent({ keepAlive: true })
  const headers = job.headers[index % job.headers.length] ?? {}
  const posting: Posting = { url: new URL(job.url), headers, agent }
  const call = era === 'legacy' ? askedOnStream : askedByResult
  let id = index * 1_000_000
  return async (tally) => {
    for (let more = true; more;) {
      const sentAt = performance.now()
      const text = await call(posting, job, (id += 2))
      more = count(tally, sentAt, { good: text.includes(DONE), bytes: text.length })
    }
    agent.destroy()
  }
}

/** Legacy: the question comes on the stream of the call, the answer is a POST of its own. */
async function askedOnStream(posting: Posting, { method, params }: Job, id: number): Promise<string> {
  let asked = false
  let answered: Promise<unknown> | undefined
  const text = await post(
    posting,
    `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${params}}`,
    (soFar) => {
      if (asked) return
      const question = /^data: ?(\{.*"elicitation\/create".*\})$/m.exec(soFar)?.[1]
      if (question === undefined) return
      asked = true
      const { id: questionId } = JSON.parse(question) as { id: unknown }
      answered = post(posting, `{"jsonrpc":"2.0","id":${JSON.stringify(questionId)},"result":${SAID}}`)
    },
  )
  await answered
  return asked ? text : ''
}

interface InputRequired {
  readonly result?: { readonly inputRequests?: object; readonly requestState?: string }
}

/** Modern: the question is the result, and the call is made again with the answer. */
async function askedByResult(posting: Posting, { method, params }: Job, id: number): Promise<string> {
  const text = await post(posting, `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${params}}`)
  const json = text.startsWith('{') ? text : (/^data: ?(\{.*"input_required".*\})$/m.exec(text)?.[1] ?? '{}')
  const { inputRequests = {}, requestState } = (JSON.parse(json) as InputRequired).result ?? {}
  const responses = Object.keys(inputRequests).map((key) => `${JSON.stringify(key)}:${SAID}`)
  if (responses.length === 0) return ''
  const state = requestState === undefined ? '' : `"requestState":${JSON.stringify(requestState)},`
  const again = `{"inputResponses":{${responses.join(',')}},${state}${params.slice(1)}`
  return post(posting, `{"jsonrpc":"2.0","id":${id + 1},"method":"${method}","params":${again}}`)
}
