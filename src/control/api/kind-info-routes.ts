import { KINDS } from '../../kinds/registry.ts'
import { faultPage } from '../../lib/fault-pages.ts'
import { FAULT_PAGES, Fault, faultCodes } from '../../lib/fault.ts'
import { manifestSchema } from '../kind-schema.ts'
import { renderExplanation } from '../render/explain.ts'
import { renderOpenApi } from '../render/openapi.ts'
import { kindFor } from './find.ts'
import { json, text, type FixedRoute, type PublicRoute, type Route } from './route.ts'

/** What there is to know about the kinds. The same for every caller, and nothing about what is stored. */
export const kindInfoRoutes = (routes: () => readonly Route[], version: string): readonly FixedRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/kinds',
    summary: 'The kinds, with the words that stand for each.',
    permission: { use: 'signed-in' },
    answer: { status: 200, types: ['application/json'] },
    handle: () =>
      json(KINDS.map(({ kind, plural, short, scope, summary }) => ({ kind, plural, short, scope, summary }))),
  },
  {
    method: 'GET',
    path: '/api/v1/explain/{word}',
    summary: 'A kind or one of its fields, for reading.',
    query: { path: 'A field, such as spec.env.' },
    permission: { use: 'signed-in' },
    answer: { status: 200, types: ['text/plain'] },
    handle: async ({ params, query }) =>
      text(await renderExplanation(kindFor(params['word'] ?? ''), query['path'] ?? '')),
  },
  {
    method: 'GET',
    path: '/api/v1/schema/{word}',
    summary: 'JSON Schema of the manifest, for editors.',
    permission: { use: 'signed-in' },
    answer: { status: 200, types: ['application/json'] },
    handle: ({ params }) =>
      json({
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        ...manifestSchema(kindFor(params['word'] ?? '')),
      }),
  },
  {
    method: 'GET',
    path: '/api/v1/openapi.json',
    summary: 'This description.',
    permission: { use: 'signed-in' },
    answer: { status: 200, types: ['application/json'] },
    handle: () => json(renderOpenApi(routes(), version)),
  },
]

/** What a code of a refusal means: where the `type` of its problem details leads. */
export const faultRoute: PublicRoute = {
  method: 'GET',
  path: `${FAULT_PAGES}/{code}`,
  summary:
    'What the code of a refusal means, and what to do about it: the `type` of problem details leads here.',
  permission: { use: 'public' },
  answer: { status: 200, types: ['text/markdown'] },
  handlePublic({ params }) {
    const code = faultCodes().find((one) => one === params['code'])
    if (code === undefined) throw new Fault('not_found', { hint: 'docs/errors.md lists the codes' })
    return text(`${faultPage(code)}\n`, 'text/markdown; charset=utf-8')
  },
}
