import { hash } from 'node:crypto'
import type { KindDefinition } from '../../kinds/define-kind.ts'
import { Fault } from '../../lib/fault.ts'
import type { State } from '../snapshot/state.ts'
import type { Stored } from '../stored.ts'
import { listStored } from './find.ts'
import type { Selector } from './selectors.ts'

/** Where a list goes on: behind the last object of a page, in the order of project and name. */
export interface Cursor {
  /** Of the state that the first page was read from: a watch from there misses nothing of any page. */
  readonly revision: number
  readonly project: string
  readonly name: string
  /** Of the columns of a table, so that all pages look like one. */
  readonly widths: readonly number[]
}

export interface PageRequest {
  readonly definition: KindDefinition
  readonly project: string | undefined
  readonly wanted: Selector
  readonly limit: number
  readonly after: Cursor | undefined
}

export interface Page {
  readonly all: readonly Stored[]
  readonly isLast: boolean
  readonly revision: number
}

/** Sorted once for each state of a kind: pages, and lists by many callers, share it. */
const sortedLists = new WeakMap<object, readonly Stored[]>()

export function sortedOf(state: State, definition: KindDefinition): readonly Stored[] {
  const ofKind = state.resources.get(definition.kind)
  if (ofKind === undefined) return []
  const known = sortedLists.get(ofKind)
  if (known !== undefined) return known
  const sorted = listStored(state, definition, undefined)
  sortedLists.set(ofKind, sorted)
  return sorted
}

/**
 * One page of what there is now: an object that stays as it is comes in exactly one of the pages, whatever happens to
 * the others in between.
 */
export function readPage(state: State, { definition, project, wanted, limit, after }: PageRequest): Page {
  const sorted = sortedOf(state, definition)
  const all: Stored[] = []
  for (let i = after === undefined ? 0 : firstAfter(sorted, after); i < sorted.length; i++) {
    const stored = sorted[i]
    if (stored === undefined || !isIn(stored, project) || !wanted(stored)) continue
    if (all.length === limit) return { all, isLast: false, revision: after?.revision ?? state.revision }
    all.push(stored)
  }
  return { all, isLast: true, revision: after?.revision ?? state.revision }
}

/** A project says nothing about a kind that belongs to none. */
export const isIn = (stored: Stored, project: string | undefined): boolean =>
  project === undefined || stored.definition.scope === 'global' || stored.project === project

function firstAfter(sorted: readonly Stored[], { project, name }: Cursor): number {
  let [from, to] = [0, sorted.length]
  while (from < to) {
    const middle = (from + to) >>> 1
    const one = sorted[middle]
    if (one === undefined) break
    const { name: other } = one.resource.metadata
    if (one.project < project || (one.project === project && other <= name)) from = middle + 1
    else to = middle
  }
  return from
}

const DIGEST_LENGTH = 12

/** What a cursor is bound to: it goes on with the list that it comes from, and with no other. */
export const digestOf = (parts: readonly (string | undefined)[]): string =>
  hash('sha256', JSON.stringify(parts.map((part) => part ?? null)), 'base64url').slice(0, DIGEST_LENGTH)

export const writeCursor = ({ revision, project, name, widths }: Cursor, list: string): string =>
  Buffer.from(JSON.stringify([1, list, revision, project, name, ...widths])).toString('base64url')

const MAX_CURSOR = 2048

/** @throws Fault `invalid` */
export function readCursor(text: string | undefined, list: string): Cursor | undefined {
  if (text === undefined) return undefined
  const [version, of, revision, project, name, ...widths] = text.length > MAX_CURSOR ? [] : parse(text)
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0
  const fits =
    version === 1 &&
    of === list &&
    isCount(revision) &&
    typeof project === 'string' &&
    typeof name === 'string' &&
    widths.every((width): width is number => isCount(width) && width <= MAX_WIDTH)
  if (fits) return { revision, project, name, widths }
  throw new Fault('invalid', {
    problems: [
      'continue: must be what the page before has in metadata.continue, with the same other parameters',
    ],
    hint: 'begin again without continue',
  })
}

/** Of a column; what is wider pushes the others along. */
export const MAX_WIDTH = 1024

function parse(text: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
    return Array.isArray(value) ? value : []
  } catch {
    return []
  }
}
