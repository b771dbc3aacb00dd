import type { Answer } from '../http-front.ts'
import type { BrowserAnswer } from './at-provider.ts'

/** The address of the page holds a code of the provider, and the page one of ours: no other page learns of either. */
const PAGE_HEADERS = {
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
}

const plain = (status: number, body: string): Answer => ({
  status,
  type: 'text/plain; charset=utf-8',
  body,
  headers: PAGE_HEADERS,
})

/** What a browser sees when it comes back from an identity provider, and a command line has begun it. */
export function browserPage(answer: Exclude<BrowserAnswer, { kind: 'page' }>): Answer {
  switch (answer.kind) {
    case 'redirect': {
      // This machine and no other, whoever has begun it: a code never travels to where somebody else may listen.
      const location = `http://127.0.0.1:${answer.port}/?${new URLSearchParams(answer.parameters).toString()}`
      return {
        status: 302,
        type: 'text/plain; charset=utf-8',
        body: 'Back to the command line.\n',
        headers: Object.assign({ location }, PAGE_HEADERS),
      }
    }
    case 'code':
      return plain(
        200,
        `Your code, for the terminal in which you have just run castellan login:\n\n  ${answer.code}\n\nGive it to nobody: who has it and has sent you here is signed in as you.\nIf you have not run castellan login yourself, close this page.\n`,
      )
    case 'problem':
      return plain(400, `The sign-in has failed: ${answer.problem}.\n`)
    default:
      return answer satisfies never
  }
}
