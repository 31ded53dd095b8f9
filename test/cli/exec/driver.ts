// A program for the tests: runs what its arguments say as `exec` would run it, and ends with its exit code.
import { runCommand, SignalRelay } from '../../../cli/exec/command.ts'
import { adoptOrphans } from '../../../cli/exec/orphans.ts'

const [file = '', ...argv] = process.argv.slice(2)
const signals = new SignalRelay()
const orphanage = adoptOrphans(100)
const { ended } = runCommand(file, argv, process.env, signals)
// What nothing else keeps alive would let Node end before the command does.
const code = await ended
orphanage?.close()
signals.close()
process.exitCode = code
