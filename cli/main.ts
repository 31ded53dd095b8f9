// The command line: one file a command.
import { Command } from 'commander'
import { checkCommand } from './check.ts'
import { demoCommand } from './demo.ts'
import { execCommand } from './exec.ts'
import { usageExit } from './exit.ts'
import { logsCommand } from './logs.ts'
import { policyCommand } from './policy.ts'
import { runCommand } from './run.ts'
import { version } from './version.ts'
import { whyCommand } from './why.ts'

const program = new Command('postern')
  .description('The small gate in the wall: everything that an agent sends out passes here, or does not.')
  .version(version)
  .enablePositionalOptions()
  .exitOverride(usageExit)
  .showHelpAfterError('(postern --help lists the commands)')

for (const command of [
  runCommand(),
  execCommand(),
  checkCommand(),
  policyCommand(),
  logsCommand(),
  whyCommand(),
  demoCommand(),
]) {
  program.addCommand(command)
}

await program.parseAsync()
