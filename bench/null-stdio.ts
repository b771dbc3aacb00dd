import { createInterface } from 'node:readline'
import { nullAnswers, type NullRequest } from './null-answers.ts'

/** The null upstream on standard input and output, legacy: for gateways that run their servers. */
const answers = nullAnswers('legacy')

createInterface({ input: process.stdin }).on('line', (line) => {
  const request = JSON.parse(line) as NullRequest
  if (request.id === undefined || request.method === undefined) return
  const answer = answers(request, 1)
  const what =
    'result' in answer ? `"result":${answer.result}` : `"error":{"code":${answer.code},"message":"not here"}`
  process.stdout.write(`{"jsonrpc":"2.0","id":${JSON.stringify(request.id)},${what}}\n`)
})
