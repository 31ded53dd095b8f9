// The command line: one file a command, loaded when it is called, since a short start matters most where an agent waits.
import { Command } from 'commander'
import { usageExit } from './exit.ts'
import { version } from './version.ts'
import { holdYoungGeneration } from './young-generation.ts'

/** In the order of the help. */
const commands: Readonly<Record<string, { readonly summary: string; readonly load: () => Promise<Command> }>> = {
  run: {
    summary: 'run the proxy as a service',
    load: async () => {
      holdYoungGeneration()
      return (await import('./run.ts')).runCommand()
    },
  },
  exec: {
    summary: 'run a command that reaches the network, and its credentials, through the proxy',
    load: async () => (await import('./exec.ts')).execCommand(),
  },
  delegate: {
    summary: 'hand a part of this agent’s right on to a command',
    load: async () => (await import('./delegate.ts')).delegateCommand(),
  },
  check: {
    summary: 'say what a configuration means, or what is wrong with it',
    load: async () => (await import('./check.ts')).checkCommand(),
  },
  policy: {
    summary: 'try the rules: run the cases beside them, explain one request, replay records',
    load: async () => (await import('./policy.ts')).policyCommand(),
  },
  logs: {
    summary: 'show records as a table: filter, follow',
    load: async () => (await import('./logs.ts')).logsCommand(),
  },
  why: {
    summary: 'tell the story of one request',
    load: async () => (await import('./why.ts')).whyCommand(),
  },
  audit: {
    summary: 'prove that records are as they were written',
    load: async () => (await import('./audit.ts')).auditCommand(),
  },
  status: {
    summary: 'say how a running proxy is',
    load: async () => (await import('./status.ts')).statusCommand(),
  },
  reload: {
    summary: 'let a running proxy read its configuration again',
    load: async () => (await import('./status.ts')).reloadCommand(),
  },
  kill: {
    summary: 'stop an agent, a user, a credential or everything, now',
    load: async () => (await import('./kill.ts')).killCommand(),
  },
  revive: {
    summary: 'take orders to stop back',
    load: async () => (await import('./revive.ts')).reviveCommand(),
  },
  kills: {
    summary: 'list what is stopped',
    load: async () => (await import('./kills.ts')).killsCommand(),
  },
  identity: {
    summary: 'show the SPIFFE identity that this process would get',
    load: async () => (await import('./identity.ts')).identityCommand(),
  },
  injector: {
    summary: 'put the proxy into the pods of a cluster, or show what that means for one',
    load: async () => (await import('./injector.ts')).injectorCommand(),
  },
  capture: {
    summary: 'turn what others send round to the proxy, and prove that nothing gets past it',
    load: async () => (await import('./capture.ts')).captureCommand(),
  },
  doctor: {
    summary: 'prove from inside that nothing escapes, everything trusts, and the agent holds no secret',
    load: async () => (await import('./doctor.ts')).doctorCommand(),
  },
  demo: {
    summary: 'show on this machine what Postern does, and check each claim',
    load: async () => (await import('./demo.ts')).demoCommand(),
  },
}

const program = new Command('postern')
  .description('The small gate in the wall: everything that an agent sends out passes here, or does not.')
  .version(version)
  .enablePositionalOptions()
  .exitOverride(usageExit)
  .showHelpAfterError('(postern --help lists the commands)')

const named = process.argv[2]
for (const [name, { summary, load }] of Object.entries(commands)) {
  program.addCommand(name === named ? (await load()).summary(summary) : new Command(name).summary(summary))
}
// `postern help exec` shows the whole help of exec.
if (named === 'help' && process.argv[3] !== undefined) {
  const command = await commands[process.argv[3]]?.load()
  if (command !== undefined) {
    command.name(`postern ${command.name()}`).outputHelp()
    process.exit(0)
  }
}
await program.parseAsync()
