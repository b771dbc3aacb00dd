import { expect, test } from 'vitest'
import { readEdgeProject } from './project.ts'

const directOf = (spec: object) =>
  readEdgeProject(
    { uid: 'prj_1', name: 'main', spec: {}, servers: [{ uid: 'srv_1', name: 'docs', via: 'direct', spec }] },
    'main',
  )?.servers[0]?.direct

const URL_OF_DOCS = { transport: 'http', url: 'https://docs.example.com/mcp' }
const SECRET = { secretRef: { name: 'keys', key: 'docs' } }

// oxfmt-ignore
test.each([
  ['over HTTP, and nothing else',  URL_OF_DOCS,                                                       true],
  ['a header that says itself',    { ...URL_OF_DOCS, headers: [{ name: 'X-Team', value: 'docs' }] },   true],
  ['a header from a Secret',       { ...URL_OF_DOCS, headers: [{ name: 'X-Key', valueFrom: SECRET }] }, false],
  ['a grant',                      { ...URL_OF_DOCS, auth: { grant: 'oauth:docs' } },                  false],
  ['the credential of a caller',   { ...URL_OF_DOCS, auth: { grant: 'caller:token:ada main' } },       false],
  ['a process',                    { transport: 'stdio', command: '/bin/sh' },                         false],
  ['a transport of later',         { transport: 'quic', url: 'https://docs.example.com' },             false],
  ['no address',                   { transport: 'http' },                                              false],
])('%s: reached directly %s', (_, spec, direct) => {
  expect(directOf(spec) !== undefined).toBe(direct)
})
