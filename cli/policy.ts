// postern policy: tries the rules of a configuration, without a proxy and without the network.
import { Command } from 'commander'
import { usageExit } from './exit.ts'
import { explainCommand } from './policy/explain.ts'
import { replayCommand } from './policy/replay.ts'
import { testCommand } from './policy/test.ts'

export function policyCommand(): Command {
  return new Command('policy')
    .description('Try the rules: run cases that are kept beside them, explain one request, or replay records.')
    .exitOverride(usageExit)
    .addCommand(testCommand())
    .addCommand(explainCommand())
    .addCommand(replayCommand())
}
