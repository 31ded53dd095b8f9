// By which options and variables a process would show what it holds, and that it does not start with them.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openings } from '../../cli/openings.ts'
import { workplace } from '../support/postern.ts'

const started = (options: readonly string[], environment: Record<string, string> = {}) =>
  openings({ options, environment, inspector: undefined })

describe('a process that is to hold secrets', () => {
  it.each([
    ['--inspect', 'lets a debugger in'],
    ['--inspect=0.0.0.0:9229', 'lets a debugger in'],
    ['--inspect-brk', 'lets a debugger in'],
    ['--inspect-wait', 'lets a debugger in'],
    ['--heapsnapshot-signal=SIGUSR2', 'writes memory into a file'],
    ['--heapsnapshot_signal=SIGUSR2', 'writes memory into a file'],
    ['--heapsnapshot-near-heap-limit=2', 'writes memory into a file'],
    ['--heap-snapshot-on-oom', 'writes memory into a file'],
    ['-heap-snapshot-on-oom', 'writes memory into a file'],
    ['--heap-prof', 'writes memory into a file'],
    ['--build-snapshot', 'writes memory into a file'],
    ['--abort_on_uncaught_exception', 'writes memory into a core file'],
    ['--report-on-signal', 'writes errors and the environment into a file'],
    ['--report-on-fatalerror', 'writes errors and the environment into a file'],
    ['--report-uncaught-exception', 'writes errors and the environment into a file'],
    ['--tls-keylog=/tmp/keys', 'shows what is sent over TLS'],
    ['--trace-tls', 'shows what is sent over TLS'],
    ['--experimental-config-file=node.config.json', 'may hold any option'],
  ])('is open by %s: it %s', (option, why) => {
    for (const found of [
      started(['--enable-source-maps', option]),
      started([], { NODE_OPTIONS: `--no-deprecation ${option} --enable-source-maps` }),
      started([], { NODE_OPTIONS: `"${option}"` }),
    ]) {
      expect(found).toHaveLength(1)
      expect(found[0]).toContain(why)
    }
  })

  it('is open by an inspector that listens, however it came to, and by NODE_DEBUG', () => {
    expect(openings({ options: [], environment: {}, inspector: 'ws://127.0.0.1:9229/x' })).toEqual([
      'the inspector is open, so a debugger can be attached',
    ])
    expect(started([], { NODE_DEBUG: 'http' })).toEqual(['NODE_DEBUG prints what is sent'])
  })

  it('is open by none of what names and measures alone', () => {
    const harmless = ['--cpu-prof', '--cpu-prof-dir=/tmp', '--inspect-port=0', '--max-old-space-size=64', '--trace-gc']
    expect(started([...harmless, '--import=./trace.mjs', '--report-dir=/tmp', '--permission'])).toEqual([])
    expect(started([], { NODE_OPTIONS: `${harmless.join(' ')} --title="a --inspect b"`, NODE_DEBUG: '' })).toEqual([])
  })

  it('is told open whatever stands around the option in NODE_OPTIONS', () => {
    const word = fc.stringMatching(/^--[a-z-]{0,12}(="(\\.|[^"\\])*")?$/)
    fc.assert(
      fc.property(fc.array(word), fc.array(word), (before, after) => {
        const found = started([], { NODE_OPTIONS: [...before, '--heap-prof', ...after].join(' ') })
        expect(found).toContain('--heap-prof in NODE_OPTIONS writes memory into a file')
      }),
    )
  })

  it('does not start, be it run or exec', async () => {
    await using place = await workplace({ 'postern.yaml': 'version: 1\ntrustDomain: acme.example\n' })
    const runs = [
      place.start(['run'], { NODE_OPTIONS: '--heapsnapshot-signal=SIGUSR2' }),
      place.start(['run'], { NODE_OPTIONS: '--inspect=127.0.0.1:0' }),
      place.start(['exec', '--', 'echo', 'ran'], { NODE_DEBUG: 'http' }),
    ]
    expect(await Promise.all(runs.map(({ ended }) => ended))).toEqual([78, 78, 78])
    const refusal = 'postern: refusing to hold secrets in a process that others can look into: '
    const sentences = [
      '--heapsnapshot-signal in NODE_OPTIONS writes memory into a file.',
      '--inspect in NODE_OPTIONS lets a debugger in; the inspector is open, so a debugger can be attached.',
      'NODE_DEBUG prints what is sent.',
    ]
    for (const [at, run] of runs.entries()) {
      expect(run.errors).toContain(`${refusal}${sentences[at]}`)
      expect(run.out).toBe('')
    }
  })
})
