import type { z } from 'zod'
import { Fault } from '../../lib/fault.ts'
import { readBody } from './body.ts'

/** Far more than any of the small bodies that are read so. */
const MAX_BYTES = 64 * 1024

/**
 * A small JSON body that is no manifest.
 *
 * @throws Fault `invalid` with every problem, none of which repeats a value; `not_json`, `too_large`, `unsupported_media`
 */
export async function readJson<Schema extends z.ZodType>(
  request: Request,
  schema: Schema,
): Promise<z.output<Schema>> {
  const { text, format } = await readBody(request, MAX_BYTES)
  if (format !== 'json') throw new Fault('unsupported_media', { hint: 'send JSON' })
  const parsed = schema.safeParse(parse(text))
  if (parsed.success) return parsed.data
  throw new Fault('invalid', {
    problems: parsed.error.issues.map(({ path, code, message }) =>
      code === 'unrecognized_keys'
        ? 'the body has a field that is not known'
        : `${path.join('.') || 'the body'}: ${message}`,
    ),
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Fault('not_json')
  }
}
