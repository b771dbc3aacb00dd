import type { Resource } from '../../kinds/define-kind.ts'
import { findKind } from '../../kinds/registry.ts'
import type { Secret } from '../../kinds/secret.ts'
import { oneLine } from './format.ts'

export interface Related {
  /** Labels of what refers to it: `Project/demo`. */
  readonly usedBy: readonly string[]
  /** Of a subject: what it may do, one line each. */
  readonly rights?: { readonly direct: readonly string[]; readonly inherited: readonly string[] } | undefined
}

/** One resource for reading. Names, never uids; of secret values the sizes. */
export function renderDescription(resource: Resource, { usedBy, rights }: Related): string {
  const { metadata } = resource
  const lines = [
    ...field('Name', metadata.name, 0),
    ...field('Kind', resource.kind, 0),
    ...(metadata.project === undefined ? [] : field('Project', metadata.project, 0)),
    ...field('Labels', metadata.labels, 0),
    ...field('Annotations', metadata.annotations, 0),
    ...field('Created', metadata.createdAt, 0),
    ...field('Updated', metadata.updatedAt, 0),
    ...field('Generation', metadata.generation, 0),
    ...field('Spec', shownSpec(resource), 0),
    ...field('Status', shownStatus(resource), 0),
    ...field('Used by', usedBy, 0),
    ...(rights === undefined ? [] : rightLines(rights)),
  ]
  return lines.map((line) => `${line}\n`).join('')
}

/** Of a kind with secret values, how long each one is that is kept here. */
function shownSpec({ kind, spec, status }: Resource): unknown {
  const secrets = findKind(kind)?.secrets
  if (secrets === undefined || isElsewhere(status)) return spec
  const { sizes = {} } = status as { sizes?: Readonly<Record<string, number>> }
  const data = Object.keys(secrets.of(spec))
    .sort()
    .map((key) => [key, `${sizes[key] ?? 0} bytes`] as const)
  return { [secrets.path.slice('spec.'.length)]: Object.fromEntries(data) }
}

const shownStatus = ({ kind, status }: Resource): unknown =>
  findKind(kind)?.secrets === undefined || isElsewhere(status) ? status : undefined

const isElsewhere = (status: unknown): boolean => (status as Partial<Secret['status']>).keys !== undefined

const rightLines = ({ direct, inherited }: NonNullable<Related['rights']>): readonly string[] => [
  'Rights:',
  ...listed('  Direct:', direct),
  ...listed('  Inherited:', inherited),
]

const listed = (heading: string, lines: readonly string[]): readonly string[] =>
  lines.length === 0 ? [`${heading} none`] : [heading, ...lines.map((line) => `    ${line}`)]

const WIDTH = 16

/** `Name:  value`, or the name and its parts below it. Empty parts are left out but for the word `none`. */
function field(name: string, value: unknown, depth: number): string[] {
  const pad = '  '.repeat(depth)
  const line = (text: string): string[] => [`${`${pad}${name}:`.padEnd(WIDTH)} ${text}`.trimEnd()]
  if (value === undefined) return []
  if (typeof value === 'string' && value.includes('\n'))
    return [`${pad}${name}:`, ...below(value, `${pad}    `)]
  if (value === null || typeof value !== 'object') return line(textOf(value))
  if (Array.isArray(value)) {
    if (value.length === 0) return line('none')
    const plain = value.every((item) => item === null || typeof item !== 'object')
    return plain && name !== 'args'
      ? line(value.map(textOf).join(', '))
      : [`${pad}${name}:`, ...value.flatMap((item) => listedItem(item, depth + 1))]
  }
  const inner = Object.entries(value).filter(([, part]) => part !== undefined)
  if (inner.length === 0) return line('none')
  return [`${pad}${name}:`, ...inner.flatMap(([key, part]) => field(oneLine(key), part, depth + 1))]
}

function listedItem(item: unknown, depth: number): string[] {
  const pad = '  '.repeat(depth)
  if (item === null || typeof item !== 'object') return [`${pad}- ${textOf(item)}`]
  const lines = Object.entries(item).flatMap(([key, part]) => field(oneLine(key), part, depth + 1))
  return lines.map((line, i) => (i === 0 ? `${pad}- ${line.slice(pad.length + 2)}` : line))
}

/** Text of several lines, indented below its name, so that nothing in it can pass for a field. */
const below = (text: string, pad: string): string[] =>
  text.split('\n').map((line) => `${pad}${oneLine(line)}`.trimEnd())

function textOf(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  return value === '' ? '""' : oneLine(value)
}
