import { z } from 'zod'
import { LongName, Name } from './define-kind.ts'

export const SUBJECT_KINDS = ['User', 'Group', 'Token', 'ServiceAccount'] as const
export type SubjectKind = (typeof SUBJECT_KINDS)[number]

/** Who a right is given to. It may be named before it exists: a User comes to be with the first sign-in. */
export const Subject = z.strictObject({
  kind: z.enum(SUBJECT_KINDS).describe('What it is.'),
  name: LongName.describe('Its name.'),
  project: Name.optional().describe('The project of a Token; of the others none.'),
})
export type Subject = z.output<typeof Subject>

/** `User:ada`, `Token:demo/laptop`: how a subject is written on a command line, and its key in every index. */
export type SubjectKey = `${SubjectKind}:${string}`

export const subjectKey = ({ kind, name, project }: Subject): SubjectKey =>
  project === undefined ? `${kind}:${name}` : `${kind}:${project}/${name}`

/** The other way; undefined: it is written in no such way. */
export function parseSubject(text: string): Subject | undefined {
  const [, kind, project, name] = /^([A-Za-z]+):(?:([^/]+)\/)?([^/]+)$/.exec(text) ?? []
  const parsed = Subject.safeParse({ kind, name, ...(project === undefined ? {} : { project }) })
  return parsed.success && subjectProblems('', [parsed.data]).length === 0 ? parsed.data : undefined
}

/** Rules that need more than one field, for a list of subjects at `path`. */
export const subjectProblems = (path: string, subjects: readonly Subject[]): string[] =>
  subjects.flatMap((subject, i) => {
    if (subject.kind === 'Token' && subject.project === undefined)
      return [`${path}[${i}].project: is required for a Token`]
    if (subject.kind !== 'Token' && subject.project !== undefined)
      return [`${path}[${i}].project: a ${subject.kind} belongs to no project; leave it out`]
    const first = subjects.findIndex((other) => subjectKey(other) === subjectKey(subject))
    return first === i ? [] : [`${path}[${i}]: is the same as ${path}[${first}]`]
  })
