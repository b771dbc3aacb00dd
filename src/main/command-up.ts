import { applyManifests } from '../cli/apply-manifests.ts'
import { printLines, type CliContext } from '../cli/context.ts'
import { choice, defineCommand, flag, list, text } from '../cli/define-command.ts'
import { usage } from '../cli/failure.ts'
import { readManifests } from '../cli/manifests.ts'
import { resolveTarget } from '../cli/target.ts'
import { LOG_LEVELS, readServeConfig, type ServeConfig } from './config.ts'
import { startDetached } from './detach.ts'
import { ROLES } from './edge/edge-options.ts'
import { runDaemon, takeHome } from './run-daemon.ts'

export const up = defineCommand({
  options: {
    detach: flag('-d, --detach', 'run in the background; returns once it answers'),
    host: text('--host <address>', 'address to listen on (default: 127.0.0.1)'),
    port: text('--port <number>', 'port to listen on (default: 7411; 0: any free one)'),
    manifests: list(
      '-f, --filename <file>',
      'apply this manifest (file, directory or -) once it runs; repeatable',
    ),
    database: text('--database <url>', 'postgres://…; default: the embedded store in the home'),
    keyFile: text('--key-file <file>', 'the master key (default: master.key in the home)'),
    keyCommand: text(
      '--key-command <program>',
      'a program that prints what a key file holds: its path, or a JSON array with its arguments',
    ),
    keyKeychain: flag('--key-keychain', 'keep the master key in the keychain of the system'),
    secretDirs: list(
      '--secret-dir <directory>',
      'a directory of files that Secrets may refer to; repeatable (default: none)',
    ),
    secretEnvPrefix: text(
      '--secret-env-prefix <prefix>',
      'how the variables begin that Secrets may refer to (default: CASTELLAN_SECRET_)',
    ),
    peerListen: text(
      '--peer-listen <host:port>',
      'where to listen for other daemons on the same database (default: 127.0.0.1:0)',
    ),
    peerUrl: text('--peer-url <url>', 'where they reach it, if that is not where it listens'),
    role: choice(
      '--role <role>',
      'gateway: an edge gateway, which holds nothing of its own (default: all)',
      ROLES,
    ),
    control: text('--control <url>', 'the control plane of an edge gateway'),
    drainSeconds: text(
      '--drain-seconds <number>',
      'how long it says that it is not ready before it ends; 5 to 15 behind a load balancer (default: 0)',
    ),
    logLevel: choice('--log-level <level>', 'from where on to log (default: info)', LOG_LEVELS),
    logTo: choice('--log-to <where>', 'standard error, or logs/daemon.log in the home', ['stderr', 'file']),
  },
  globals: ['home'],
  about:
    'Ctrl-C ends it gracefully, a second one at once. If it cannot start, or a manifest is not valid, nothing keeps running.',
  examples: [
    'castellan up',
    'castellan up -d -f manifests/',
    'castellan up -d --home /srv/castellan --port 7500',
    'castellan up --role gateway --control https://castellan.example.com',
  ],
  async run({ options: { detach, ...options }, home, context }) {
    const config = readServeConfig({ ...options, home }, context)
    const manifests =
      config.manifests.length === 0 ? undefined : await readManifests(config.manifests, context)
    return detach
      ? await background(config, manifests, context)
      : await foreground(config, manifests, context)
  },
})

async function foreground(
  config: ServeConfig,
  manifests: string | undefined,
  context: CliContext,
): Promise<number> {
  await runDaemon(config, context.version().version, async ({ url }) => {
    if (manifests !== undefined) await applyToHome(config.home, manifests, context)
    printLines(context.stdout, [`castellan listens on ${url} (${placeOf(config)})`])
  })
  return 0
}

async function background(
  config: ServeConfig,
  manifests: string | undefined,
  context: CliContext,
): Promise<number> {
  if (config.edge !== undefined && config.edge.home === undefined)
    throw usage(
      'an edge gateway in the background needs a home, where it is found again',
      'name one with --home, or run it in the foreground',
    )
  // Only to say it early: the daemon takes the lock for itself.
  takeHome(config.home).release()
  const started = await startDetached(config, context)
  try {
    if (manifests !== undefined) await applyToHome(config.home, manifests, context)
  } catch (error) {
    await started.stop()
    throw error
  }
  printLines(context.stdout, [`castellan listens on ${started.url} (pid ${started.pid}, ${placeOf(config)})`])
  return 0
}

function placeOf({ edge, home }: ServeConfig): string {
  if (edge === undefined) return `home ${home}`
  const kept = edge.home === undefined ? 'keeps nothing' : `home ${edge.home}`
  return `edge gateway of ${edge.control.origin}, ${kept}`
}

/** With the admin credential of the home: what the environment names for other daemons is not meant here. */
async function applyToHome(home: string, manifests: string, context: CliContext): Promise<void> {
  const env = { ...context.env, CASTELLAN_URL: undefined, CASTELLAN_TOKEN: undefined }
  const target = resolveTarget({ ...context, env }, { home })
  await applyManifests(target, { manifests, dryRun: false }, context)
}
