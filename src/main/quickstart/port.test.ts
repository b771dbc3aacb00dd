import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { freePort } from './port.ts'

test('a port that is taken is passed over', async () => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const { port } = holder.address() as AddressInfo
  const found = await freePort(port)
  expect(found).not.toBe(port)
  holder.close()
  await once(holder, 'close')
  expect(await freePort(port)).toBe(port)
})
