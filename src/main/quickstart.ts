// What `npm start` runs. The cache has to be on before anything else is imported, hence a file of its own.
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
enableCompileCache(`${root}node_modules/.cache/castellan`)

const { main } = await import('./quickstart/main.ts')
process.exitCode = await main(root)
