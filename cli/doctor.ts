// postern doctor: proves from inside that nothing escapes, everything trusts, and the agent holds no secret.
import { Command, InvalidArgumentError, Option } from 'commander'
import { paintFor } from '../proxy/record/terminal-text.ts'
import { checks } from './doctor/checks.ts'
import { examine, longest } from './doctor/examine.ts'
import { findScene, type Where } from './doctor/find-scene.ts'
import { forPeople, forPrograms, isWell, listOf } from './doctor/report.ts'
import { CommandError, endWith, exit, usageExit } from './exit.ts'

interface Options extends Where {
  readonly only?: readonly string[]
  readonly list?: true
  readonly json?: true
}

const examples = `
Examples:
  postern doctor --url https://api.crm.example/v1/contacts   in the agent's container, with a call that a rule allows
  postern doctor --request 019b2c3d-4e5f-7a6b-8c7d-9e0f1a2b3c4d
                                                             in the proxy's: what became of that call
  postern doctor -c /etc/postern/postern.yaml --as 1000      as root in the pod's namespaces: all of it at once
  postern exec -- postern doctor                             on a laptop
  postern doctor --only escape-dns,svid --json

Nothing is changed, and no secret that is found is shown. It takes 30 seconds at most.
Exit codes: 0 nothing is red, 1 something is; 64 wrong usage, 66 no such file, 69 nothing could be looked at,
77 --as without the right to become that user, 78 the configuration that was named is wrong.`

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('Prove from inside that nothing escapes, everything trusts, and the agent holds no secret.')
    .option(
      '--url <url>',
      'a call (GET) that a rule allows (default: made of the first such rule, where -c is given)',
      callUrl,
    )
    .option('-c, --config <file>', 'configuration of the proxy, where it can be read')
    .option('--as <uid>', 'user to try as, given up for good by whoever has the right', userId)
    .addOption(
      new Option('--mode <mode>', 'how agents come to the proxy (default: as it is found)').choices([
        'transparent',
        'explicit',
      ]),
    )
    .option(
      '--metrics <host:port>',
      'where the proxy answers /readyz (default: admin.metrics, or 127.0.0.1:15920)',
      address,
    )
    .option('-r, --records <file>', 'file of records, where it can be read (default: as for postern logs)')
    .option('--request <id>', 'look up this request in the records, in place of a call of now', requestId)
    .option(
      '--files <path...>',
      'look for secrets there (default: home, working folder, mounted volumes, and the like)',
    )
    .option('--only <names>', 'these checks alone, with commas between them', names)
    .option('--list', 'say what there is to be looked at')
    .option('--json', 'for programs')
    .addHelpText('after', examples)
    .exitOverride(usageExit)
    .action((options: Options) => endWith(() => doctor(options)))
}

async function doctor({ only, list, json, ...where }: Options): Promise<void> {
  const wanted = checks.filter(({ name }) => only === undefined || only.includes(name))
  if (list === true) {
    console.log(json === true ? JSON.stringify(wanted.map(({ name, proves }) => ({ name, proves }))) : listOf(wanted))
    return
  }
  const ended = new AbortController()
  const whole = AbortSignal.any([ended.signal, AbortSignal.timeout(longest)])
  const scene = await findScene(where, { ...process.env }, whole)
  const examined = await examine(wanted, scene, whole)
  ended.abort()
  if (typeof scene.records !== 'string') await scene.records.close()
  const paint = paintFor(process.stdout.isTTY === true, process.env.NO_COLOR)
  console.log(json === true ? JSON.stringify(forPrograms(examined, scene)) : forPeople(examined, scene, paint))
  if (isWell(examined)) return
  if (examined.some(({ state }) => state === 'red')) process.exitCode = 1
  else throw new CommandError(exit.unavailable, 'Nothing could be looked at from here.')
}

function names(text: string): readonly string[] {
  const wanted = text.split(',').map((name) => name.trim())
  const unknown = wanted.filter((name) => !checks.some((check) => check.name === name))
  if (unknown.length > 0) throw new InvalidArgumentError(`There is no check ${unknown.join(', ')}; --list lists them.`)
  return wanted
}

function callUrl(text: string): URL {
  if (!URL.canParse(text) || !/^https?:\/\//i.test(text))
    throw new InvalidArgumentError('Not a URL with https: or http:.')
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') throw new InvalidArgumentError('A URL without a user and a password.')
  return url
}

function userId(text: string): number {
  if (!/^\d{1,10}$/.test(text) || Number(text) > 0xffff_fffe) throw new InvalidArgumentError('Not a user id.')
  return Number(text)
}

function requestId(text: string): string {
  if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text))
    throw new InvalidArgumentError('Not the whole id of a request.')
  return text.toLowerCase()
}

function address(text: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, port = ''] = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+)):(\d{1,5})$/i.exec(text) ?? []
  const host = bracketed ?? plain
  if (host === undefined || Number(port) > 65_535)
    throw new InvalidArgumentError('Not a host and a port, such as 127.0.0.1:15920.')
  return { host, port: Number(port) }
}
