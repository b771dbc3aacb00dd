import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * The cheapest token endpoint that is still one: every refresh token is good once, after 5 ms.
 *
 * | path | answers |
 * |---|---|
 * | `/token` | the next tokens, for an hour |
 * | `/stats` | how many requests there were, and how many at one time at most |
 *
 * Program: `null-issuer.ts`; prints its origin on one line.
 */
const AFTER_MS = 5
let [asked, underWay, most, count] = [0, 0, 0, 0]

function answer(response: ServerResponse, body: object): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

const server = createServer((request, response) => {
  request.resume()
  if (request.url === '/stats') return answer(response, { asked, most })
  most = Math.max(most, (underWay += 1))
  asked += 1
  setTimeout(() => {
    underWay -= 1
    count += 1
    const tokens = { access_token: `access-${count}`, refresh_token: `refresh-${count}` }
    answer(response, {
      access_token: tokens.access_token,
      refresh_token: tokens.refresh_token,
      token_type: 'Bearer',
      expires_in: 3600,
    })
  }, AFTER_MS)
})
server.listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
