// A program for the tests: `postern`, with the one command that they are about.
import { Command } from 'commander'
import { execCommand } from '../../../cli/exec.ts'

await new Command('postern').enablePositionalOptions().addCommand(execCommand()).parseAsync()
process.exitCode ??= 1
