// Runs the programs that talk to netfilter, and says what to do when one is missing or may not.
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { RedirectError } from './backend.ts'

export interface Programs {
  /** Whether there is a program of this name. */
  has(name: string): boolean
  /** @returns what it wrote on standard output; undefined when it failed in the way that `absent` matches */
  run(name: string, args: readonly string[], input?: string, absent?: RegExp): string | undefined
}

/** Where they are on most systems; often not in the path of a user. */
const usual = ['/usr/sbin', '/sbin', '/usr/local/sbin']
const patience = 20_000

/** @param path the variable PATH */
export function programsIn(path: string): Programs {
  const folders = [...path.split(':').filter((folder) => folder.startsWith('/')), ...usual]
  return {
    has: (name) => folders.some((folder) => isExecutable(join(folder, name))),
    run(name, args, input, absent) {
      const { status, stdout, stderr, error } = spawnSync(name, args, {
        input: input ?? '',
        encoding: 'utf8',
        env: { PATH: folders.join(':'), LC_ALL: 'C' },
        timeout: patience,
        maxBuffer: 16 << 20,
      })
      if (error !== undefined) throw new RedirectError('missing', `${name} could not be run: ${error.message}`)
      if (status === 0) return stdout
      if (absent?.test(stderr) === true) return undefined
      throw failure(name, stderr.trim())
    },
  }
}

function failure(name: string, said: string): RedirectError {
  const firstLines = said.split('\n').slice(0, 4).join('\n  ')
  if (/Operation not permitted|Permission denied|you must be root/i.test(said)) {
    const capabilities = name.includes('legacy') ? 'the capabilities NET_ADMIN and NET_RAW' : 'the capability NET_ADMIN'
    return new RedirectError(
      'permission',
      `${name} may not: it needs ${capabilities} in this network namespace (in a pod: an init container with \`capabilities: { add: [NET_ADMIN] }\`)\n  ${firstLines}`,
    )
  }
  if (/No such file or directory|not supported|does not exist|can't initialize/i.test(said))
    return new RedirectError(
      'missing',
      `${name}: this kernel lacks a part of netfilter that is needed\n  ${firstLines}`,
    )
  return new RedirectError('failed', `${name} failed\n  ${firstLines}`)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
