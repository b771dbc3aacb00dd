import { defineConfig } from 'vitest/config'

/** `npm run fuzz`: the properties of `npm test`, each with many more cases. */
export default defineConfig({
  test: { include: ['{src,test}/**/*-fuzz.test.ts'], provide: { fuzzTimes: 50 }, hookTimeout: 120_000 },
})
