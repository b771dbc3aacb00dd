import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { callApiPage, type ApiPage, type Query } from './api.ts'
import type { Target } from './target.ts'

export interface ListRequest {
  readonly path: readonly string[]
  readonly query: Query & { readonly output: string }
}

/** Prints a list page by page, as they come: what is held at a time is one of them. */
export async function printList(target: Target, { path, query }: ListRequest, to: Writable): Promise<void> {
  const ask = (next: string | undefined): Promise<ApiPage> =>
    callApiPage(target, path, { ...query, continue: next })
  const first = await ask(undefined)
  if (first.next === undefined) return write(to, first.body)
  if (query.output === 'json') return printItems(first, ask, to)
  let page = first
  for (;;) {
    await write(to, page.body)
    if (page.next === undefined) return
    page = await ask(page.next)
    if (query.output === 'yaml' && page.body !== '') await write(to, '---\n')
  }
}

interface JsonList {
  readonly metadata?: { readonly revision?: number }
  readonly items: readonly unknown[]
}

/** The items of all pages in one document. */
async function printItems(
  first: ApiPage,
  ask: (next: string | undefined) => Promise<ApiPage>,
  to: Writable,
): Promise<void> {
  const { items: firstItems, metadata, ...about } = JSON.parse(first.body) as JsonList
  const head = JSON.stringify({ ...about, metadata: { revision: metadata?.revision } })
  await write(to, `${head.slice(0, -1)},"items":[`)
  let [items, next] = [firstItems, first.next]
  let separator = ''
  for (;;) {
    const text = items.map((item) => JSON.stringify(item)).join(',')
    if (text !== '') {
      await write(to, separator + text)
      separator = ','
    }
    if (next === undefined) break
    const page = await ask(next)
    next = page.next
    items = (JSON.parse(page.body) as JsonList).items
  }
  await write(to, ']}\n')
}

/** Waits where the reader is slower than we are. */
async function write(to: Writable, text: string): Promise<void> {
  if (text !== '' && !to.write(text)) await once(to, 'drain')
}
