// Runs the commands that read records, in a process of their own.

import { Command } from 'commander'
import { logsCommand } from '../../cli/logs.ts'
import { whyCommand } from '../../cli/why.ts'

await new Command('postern').addCommand(logsCommand()).addCommand(whyCommand()).parseAsync(process.argv)
