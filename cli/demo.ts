// postern demo: the whole way, shown and checked, on this machine alone.
import { Command } from 'commander'
import { CommandError, endWith, exit, usageExit } from './exit.ts'

interface Options {
  readonly keep?: true
}

/** Packages that the demo needs and that an installed Postern does not bring. */
const needed = ['oidc-provider', 'openai']

/** 128 and the number of SIGINT, as shells have it. */
const interrupted = 130

const examples = `
Examples:
  postern demo            the story, about ten seconds
  postern demo --keep     the same, then it stays, for you to try out

It needs the source tree of Postern with its development dependencies: npm ci
Exit codes: 0 everything that it claims was found true, 1 not so, 69 something that it needs is missing, 130 interrupted.`

export function demoCommand(): Command {
  return new Command('demo')
    .description('Show on this machine what Postern does, and check each claim.')
    .option('--keep', 'go on running afterwards, and say how to use it')
    .addHelpText('after', examples)
    .exitOverride(usageExit)
    .action(({ keep }: Options) => endWith(() => demo(keep === true)))
}

async function demo(keep: boolean): Promise<void> {
  const missing = needed.filter((name) => !isInstalled(name))
  if (missing.length > 0) {
    throw new CommandError(
      exit.unavailable,
      `The demo needs ${missing.join(' and ')}, which an installed Postern does not bring. Get its source tree, and in it: npm ci && npm run demo`,
    )
  }
  const stop = new AbortController()
  // Not once: npm passes on what the terminal has sent already, and the second may not cut the tidying short.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort())
  const { runDemo } = await import('./demo/run.ts')
  const held = await runDemo(keep, stop.signal)
  if (!held) process.exitCode = stop.signal.aborted ? interrupted : 1
}

function isInstalled(name: string): boolean {
  try {
    import.meta.resolve(name)
    return true
  } catch {
    return false
  }
}
