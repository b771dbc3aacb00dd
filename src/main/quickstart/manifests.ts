import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'

/** What stands in the files of `examples/quickstart` for what only the start knows. */
const CHECKOUT = '/path/to/castellan'
const HTTP_URL = 'http://127.0.0.1:3001/mcp'

/**
 * The manifests of the quickstart as one List, with the places of this checkout in them. Put in after parsing: a
 * path may hold what means something in YAML.
 */
export async function quickstartManifests(
  root: string,
  httpUrl: string,
): Promise<{ readonly apiVersion: string; readonly kind: 'List'; readonly items: readonly unknown[] }> {
  const folder = join(root, 'examples/quickstart')
  const files = (await readdir(folder)).filter((name) => name.endsWith('.yaml')).sort()
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')))
  const fill = (_key: unknown, value: unknown): unknown => {
    if (value === HTTP_URL) return httpUrl
    return typeof value === 'string' && value.startsWith(CHECKOUT)
      ? root + value.slice(CHECKOUT.length)
      : value
  }
  const items = texts
    .flatMap((text) => parseAllDocuments(text))
    .map((document) => JSON.parse(JSON.stringify(document.toJS(), fill)) as unknown)
  return { apiVersion: 'castellan/v1', kind: 'List', items }
}
