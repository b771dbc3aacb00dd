import { parseArgs } from 'node:util'
import { applying } from './apply.ts'
import { authorize } from './authorize.ts'
import { bridge } from './bridge.ts'
import { calls } from './calls.ts'
import { peers } from './compare-peers.ts'
import { grants } from './grants.ts'
import { measureGrowth } from './growth.ts'
import type { Timing } from './measure.ts'
import type { Bench, Part } from './part.ts'
import { startLoad } from './processes.ts'
import { remember, table } from './report.ts'
import { sessions } from './sessions.ts'
import { measureStart } from './start.ts'

const start: Part = async ({ withCastellan }) => {
  if (!withCastellan) return {}
  const start = await measureStart()
  console.log(table(Object.entries(start).map(([name, value]) => [name, value.toFixed(2)])))
  return { start }
}

const growth: Part = async ({ load, timing }) => ({ growth: await measureGrowth(load, timing) })

const PARTS: Readonly<Record<string, Part>> = {
  authorize,
  calls,
  peers,
  start,
  apply: applying,
  bridge,
  grants,
  sessions,
  growth,
}
const USUAL = ['calls', 'peers', 'start']

/** `npm run bench`: see docs/performance.md for what it measures and how to read it. */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    quick: { type: 'boolean', default: false },
    'without-castellan': { type: 'boolean', default: false },
    'no-history': { type: 'boolean', default: false },
  },
})
const timing: Timing = values.quick
  ? { rounds: 1, settleMs: 300, warmUpMs: 300, measureMs: 700 }
  : { rounds: Number(values.rounds), settleMs: 4000, warmUpMs: 500, measureMs: Number(values.seconds) * 1000 }

async function main(): Promise<void> {
  const parts = positionals.length === 0 ? USUAL : positionals
  const unknown = parts.filter((name) => !Object.hasOwn(PARTS, name))
  if (unknown.length > 0) {
    console.error(`there is no part ${unknown.join(', ')}; there are ${Object.keys(PARTS).join(', ')}`)
    process.exitCode = 2
    return
  }
  const load = startLoad()
  const bench: Bench = { load, timing, quick: values.quick, withCastellan: !values['without-castellan'] }
  const results = {}
  try {
    for (const name of parts) {
      console.log(`\n${name}\n`)
      Object.assign(results, await PARTS[name]?.(bench))
    }
  } finally {
    await load.stop()
  }
  const options = { ...timing, parts, quick: values.quick }
  if (!values['no-history']) remember(new URL('history.jsonl', import.meta.url), options, results)
}

await main()
