import type { IncomingMessage } from 'node:http'
import { Fault } from '../../lib/fault.ts'

const MAX_BYTES = 64 * 1024

/** The fields of a form, each once. */
export type Form = ReadonlyMap<string, string>

/**
 * What a page of ours has sent.
 *
 * @throws Fault `unsupported_media`, `too_large`, `invalid`, `origin_refused`
 */
export async function readForm(request: IncomingMessage): Promise<Form> {
  const { headers } = request
  // Browsers say who has sent a form (Fetch Metadata); whoever is none has no cookie of ours to misuse.
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin') throw new Fault('origin_refused')
  const type = (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase()
  if (type !== 'application/x-www-form-urlencoded' || headers['content-encoding'] !== undefined)
    throw new Fault('unsupported_media', { hint: 'the page sends application/x-www-form-urlencoded' })
  const fields = new URLSearchParams(await readText(request))
  const form = new Map(fields)
  if (form.size !== fields.size) throw new Fault('invalid', { problems: ['a field stands there twice'] })
  return form
}

async function readText(request: IncomingMessage): Promise<string> {
  if (Number(request.headers['content-length'] ?? 0) > MAX_BYTES) throw tooLarge()
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BYTES) throw tooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

const tooLarge = (): Fault => new Fault('too_large', { hint: 'a form may have 64 KiB' })
