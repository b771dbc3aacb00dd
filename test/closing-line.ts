import type { Reporter, TestModule } from 'vitest/node'

/** Prints the one line that CI reads: `N passed, N failed` (with `, N skipped` where tests were skipped). */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 }
    for (const module of modules) {
      // A file that cannot be loaded, or whose hooks fail, holds no failed test of its own.
      if (module.errors().length > 0) count.failed += 1
      for (const test of module.children.allTests()) count[test.result().state] += 1
    }
    const failed = count.failed + unhandled.length
    const skipped = count.skipped + count.pending
    process.stdout.write(
      `\n${count.passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`,
    )
  }
}
