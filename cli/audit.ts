// postern audit: proves that records are as they were written.
import { readFile, realpath } from 'node:fs/promises'
import { Command, InvalidArgumentError } from 'commander'
import { readBundleFile } from '../certs/bundle/file.ts'
import type { BundleLookup } from '../certs/svid/validate.ts'
import { readableReport } from '../proxy/record/audit/report-text.ts'
import { verifyFiles } from '../proxy/record/audit/verify.ts'
import { paintFor } from '../proxy/record/terminal-text.ts'
import { endWith, usageExit } from './exit.ts'
import { recordFile } from './record-file.ts'

interface Options {
  readonly config?: string
  readonly bundle?: string
  readonly signer?: string
  readonly fromStart?: true
  readonly expectHead?: string
  readonly expectSeq?: number
  readonly json?: true
}

const examples = `
Examples:
  postern audit verify                                    the file that postern.yaml names
  postern audit verify /var/log/postern/records.jsonl*    with what was rotated, in any order, gzip too
  postern audit verify r.jsonl --bundle bundle.pem --signer spiffe://acme.example/ns/agents/sa/researcher
  postern audit verify r.jsonl --expect-seq 48210         as postern status said yesterday
  kubectl logs my-pod -c postern | postern audit verify -

Without --bundle the signatures are checked, and whose they are is taken on their word. What was cut off at the end is
noticed up to the last checkpoint that somebody knows of: note down what postern status says, and ask for it.
Exit codes: 0 as written, 1 findings, 64 wrong usage, 66 a file cannot be read.`

export function auditCommand(): Command {
  return new Command('audit')
    .description('Prove that records are as they were written.')
    .exitOverride(usageExit)
    .addCommand(verifyCommand())
}

function verifyCommand(): Command {
  return new Command('verify')
    .description('Find every record that was altered, removed, reordered, doubled or cut off.')
    .argument('[files...]', 'files of records in any order; - for standard input (default: as for postern logs)')
    .option('-c, --config <file>', 'configuration that names the file (default: $POSTERN_CONFIG, or postern.yaml)')
    .option('--bundle <file>', 'roots that signers must lead back to, PEM or a SPIFFE bundle')
    .option('--signer <spiffe-id>', 'the only one who may sign')
    .option('--from-start', 'the first record of all must be there, and nothing before it')
    .option('--expect-head <hash>', 'a record with this hash must be there', hashText)
    .option('--expect-seq <number>', 'a record with this number must be there', wholeNumber)
    .option('--json', 'for programs')
    .addHelpText('after', examples)
    .exitOverride(usageExit)
    .action((files: string[], options: Options) => endWith(() => verify(files, options)))
}

async function verify(files: readonly string[], options: Options): Promise<void> {
  const { config, bundle, signer, fromStart, expectHead, expectSeq, json } = options
  const named = files.length > 0 ? files : [recordFile(undefined, config, process.env)]
  const report = await verifyFiles(await distinct(named), {
    bundleFor: bundle === undefined ? undefined : await bundles(bundle),
    signer,
    fromStart,
    expectHead,
    expectSeq,
  })
  const paint = paintFor(process.stdout.isTTY === true, process.env.NO_COLOR)
  console.log(json === true ? JSON.stringify(report) : readableReport(report, paint).join('\n'))
  if (!report.ok) process.exitCode = 1
}

/** A file that a pattern and a name both mean is read once. */
async function distinct(files: readonly string[]): Promise<readonly string[]> {
  const known = new Set<string>()
  const kept: string[] = []
  for (const file of files) {
    const real = file === '-' ? file : await realpath(file)
    if (!known.has(real)) kept.push(file)
    known.add(real)
  }
  return kept
}

/** The roots of the file, for whichever trust domain a signer names. */
async function bundles(path: string): Promise<BundleLookup> {
  const text = await readFile(path, 'utf8')
  const made = new Map<string, ReturnType<BundleLookup>>()
  return (domain) => {
    const bundle = made.get(domain) ?? readBundleFile(domain, text)
    made.set(domain, bundle)
    return bundle
  }
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new InvalidArgumentError('Not a whole number from 1.')
  return Number(text)
}

function hashText(text: string): string {
  if (!/^[A-Za-z0-9_-]{43}$/.test(text)) throw new InvalidArgumentError('Not a SHA-256 in base64url (43 characters).')
  return text
}
