import type { SegmentRow } from './chain.ts'
import type { SeenTip, Tips } from './entry.ts'
import type { Finding } from './findings.ts'
import { checkpointStatement } from './recover.ts'
import type { ChainReader } from './record.ts'
import type { Signer } from './signer.ts'
import { isSigned, tipsIn } from './tips.ts'
import type { VerifyReport } from './verify.ts'

/** What one chain says of another. */
interface Sighting {
  readonly writer: string
  /** Segment of the writer that says so. */
  readonly segment: number
  readonly entry: Tips
  readonly tip: SeenTip
}

export interface Sightings {
  /** A segment of the writer's chain whose MAC fits. */
  take(writer: string, row: SegmentRow): void
  /** The chains that were seen. */
  chains(): ReadonlySet<string>
  all(): readonly Sighting[]
}

/** Collects the newest that each chain says of each other: it stands for all that was said before. */
export function createSightings(): Sightings {
  const newest = new Map<string, Sighting>()
  return {
    take(writer, row) {
      for (const entry of tipsIn(row.body))
        for (const tip of entry.tips) {
          const key = `${writer}\0${tip.chain}`
          const before = newest.get(key)
          if (before === undefined || before.tip.seq <= tip.seq)
            newest.set(key, { writer, segment: row.seq, entry, tip })
        }
    },
    chains: () => new Set([...newest.values()].map(({ tip }) => tip.chain)),
    all: () => [...newest.values()],
  }
}

/**
 * Holds what the chains say of each other against them, as they are when it is called: none of them has become shorter
 * since it was seen.
 * @param reports one for each chain that was read or seen
 */
export async function verifySightings(
  sightings: Sightings,
  reports: readonly VerifyReport[],
  { signer, readerOf }: { readonly signer: Signer; readonly readerOf: (chain: string) => ChainReader },
): Promise<VerifyReport[]> {
  // One entry tells of many chains.
  const signed = new Map<Tips, boolean>()
  for (const { writer, entry } of sightings.all())
    if (!signed.has(entry)) signed.set(entry, isSigned(writer, entry, signer))
  const [good, forged] = [true, false].map((is) =>
    sightings.all().filter(({ entry }) => signed.get(entry) === is),
  )
  const byTarget = Map.groupBy(good ?? [], ({ tip }) => tip.chain)
  const byWriter = Map.groupBy(forged ?? [], ({ writer }) => writer)
  const checked: VerifyReport[] = []
  for (const report of reports) {
    const seen = byTarget.get(report.chain) ?? []
    const bad = new Map(
      byWriter.get(report.chain)?.map((sighting) => [sighting.segment, notSigned(sighting)]),
    )
    const found = [...bad.values(), ...(await hold(report, seen, { signer, reader: readerOf(report.chain) }))]
    const findings = [...report.findings, ...found]
    checked.push({ ...report, ok: findings.length === 0, findings, seen: seenOf(seen) })
  }
  return checked
}

const notSigned = ({ segment, entry }: Sighting): Finding => ({
  what: 'changed',
  segment,
  atMs: entry.atMs,
  message: 'what the segment says of the other chains is not signed by this daemon',
})

function seenOf(sightings: readonly Sighting[]): VerifyReport['seen'] {
  if (sightings.length === 0) return undefined
  return { seq: Math.max(...sightings.map(({ tip }) => tip.seq)), by: sightings.length }
}

async function hold(
  report: VerifyReport,
  sightings: readonly Sighting[],
  { signer, reader }: { readonly signer: Signer; readonly reader: ChainReader },
): Promise<Finding[]> {
  const found: Finding[] = []
  if (sightings.length === 0) return found
  const end = await endOf(report.chain, reader, signer)
  // What many have seen is looked up once.
  const distinct = new Map(sightings.map((sighting) => [`${sighting.tip.seq} ${sighting.tip.mac}`, sighting]))
  for (const sighting of distinct.values()) {
    const { seq, mac } = sighting.tip
    if (seq > end) continue
    const row = await reader.segment(seq)
    // One that is not there is in the archive, or a hole that was found already.
    if (row !== undefined && Buffer.from(row.mac).toString('base64url') !== mac)
      found.push({
        what: 'changed',
        segment: seq,
        atMs: row.firstAtMs,
        message: `the segment is not the one that ${sighting.writer} saw`,
      })
  }
  const furthest = sightings.toSorted((a, b) => a.tip.seq - b.tip.seq).at(-1)
  return furthest === undefined || furthest.tip.seq <= end ? found : [...found, ...cut(report, furthest, end)]
}

/** What the anchors of the chain have shown already is not said twice. */
function cut({ findings, tip }: VerifyReport, { writer, tip: { seq } }: Sighting, end: number): Finding[] {
  if (findings.some(({ what, to = 0 }) => what === 'cut off' && to >= seq)) return []
  const place = { segment: end + 1, to: seq, atMs: tip?.atMs }
  return end === 0
    ? [{ what: 'missing', ...place, message: `the whole chain is missing: ${writer} has seen it` }]
    : [{ what: 'cut off', ...place, message: `the newest segments are missing: ${writer} has seen them` }]
}

/** Newest segment that is there, or was archived. */
async function endOf(chain: string, reader: ChainReader, signer: Signer): Promise<number> {
  const tip = await reader.tip()
  if (tip !== undefined) return tip.seq
  const newest = (await reader.checkpoints()).at(-1)
  if (newest === undefined || !signer.verify(checkpointStatement(chain, newest.content), newest.sig)) return 0
  return newest.archive.toSeq
}
