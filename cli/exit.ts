// How commands end: exit codes of sysexits(3), and a sentence on standard error.
import type { CommanderError } from 'commander'

export const exit = {
  ok: 0,
  /** EX_USAGE: the command line is wrong. */
  usage: 64,
  /** EX_DATAERR: what was given is not as it should be. */
  data: 65,
  /** EX_NOINPUT: a file is missing or cannot be read. */
  noInput: 66,
  /** EX_UNAVAILABLE: something that is needed cannot be had. */
  unavailable: 69,
  /** EX_SOFTWARE: a mistake of ours. */
  software: 70,
  /** EX_CANTCREAT: a file or socket cannot be made. */
  cannotCreate: 73,
  /** EX_TEMPFAIL: it will count later, and does not now. */
  later: 75,
  /** EX_NOPERM: it is not permitted. */
  refused: 77,
  /** EX_CONFIG: the configuration is wrong. */
  config: 78,
} as const

/** Ends a command with an exit code and a sentence. */
export class CommandError extends Error {
  readonly exitCode: number

  constructor(exitCode: number, message: string) {
    super(message)
    this.exitCode = exitCode
  }
}

/** Runs a command to its end; what it throws becomes a sentence and an exit code. */
export async function endWith(command: () => Promise<void>): Promise<void> {
  try {
    await command()
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    process.exitCode = error instanceof CommandError ? error.exitCode : isInput(error) ? exit.noInput : exit.software
  }
}

/** For `exitOverride`: a command line that commander does not understand ends with 64, help with 0. */
export function usageExit(error: CommanderError): never {
  process.exit(error.exitCode === 0 ? exit.ok : exit.usage)
}

/** An error of the file system. */
const isInput = (error: unknown) => error instanceof Error && 'syscall' in error && 'path' in error
