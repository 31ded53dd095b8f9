// The container of a process, in the spellings of the runtimes; what a process can arrange for itself counts for nothing.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { containerIn, containerOf } from '../../../../proxy/identify/kernel/cgroup.ts'

const id = '0123456789abcdef'.repeat(4)
const other = 'fedcba9876543210'.repeat(4)
const pod = 'pod6a1c2b4e_0000_4000_8000_1234567890ab'

const paths: readonly (readonly [string, (id: string) => string])[] = [
  ['Docker', (id) => `/docker/${id}`],
  ['Docker under systemd', (id) => `/system.slice/docker-${id}.scope`],
  [
    'containerd in a pod',
    (id) => `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-${pod}.slice/cri-containerd-${id}.scope`,
  ],
  ['containerd in a pod, without systemd', (id) => `/kubepods/besteffort/${pod}/${id}`],
  [
    'containerd with systemd’s triple',
    (id) => `/system.slice/containerd.service/kubepods-besteffort-${pod}.slice:cri-containerd:${id}`,
  ],
  ['CRI-O', (id) => `/kubepods.slice/kubepods-${pod}.slice/crio-${id}.scope`],
  ['CRI-O, in a group below', (id) => `/kubepods.slice/kubepods-${pod}.slice/crio-${id}.scope/container`],
  ['Podman', (id) => `/machine.slice/libpod-${id}.scope/container`],
  ['another container, seen from a cgroup namespace', (id) => `/../${id}`],
  ['ECS', (id) => `/ecs/4fa1/${id}`],
]
const hex = fc.stringMatching(/^[0-9a-f]{64}$/)

describe('a container', () => {
  it.each(paths)('of %s is told', (_runtime, path) => {
    expect(containerIn(`0::${path(id)}\n`)).toBe(id)
  })

  it('is told by any of the older hierarchies', () => {
    const lines = ['12:pids:', '11:cpu,cpuacct:', '1:name=systemd:'].map((line) => `${line}/docker/${id}`)
    expect(containerIn(`${lines.join('\n')}\n2:misc:/\n0::/\n`)).toBe(id)
  })

  it('is not told where the hierarchies disagree', () => {
    expect(containerIn(`2:cpu:/docker/${id}\n1:memory:/docker/${other}\n`)).toBeUndefined()
  })

  it('is the outermost: groups below it are the process’s own to make', () => {
    expect(containerIn(`0::/docker/${id}/docker/${other}\n`)).toBe(id)
    expect(containerIn(`0::/system.slice/docker-${id}.scope/kubepods/${pod}/${other}\n`)).toBe(id)
  })

  it('is not told below the manager of a user, who makes groups of any name there', () => {
    const mine = '/user.slice/user-1000.slice/user@1000.service'
    expect(containerIn(`0::${mine}/docker-${id}.scope\n`)).toBeUndefined()
    expect(containerIn(`0::${mine}/user.slice/libpod-${id}.scope\n`)).toBeUndefined()
  })

  it.each([
    ['nothing', ''],
    ['the root', '0::/\n'],
    ['a service', '0::/system.slice/ssh.service\n'],
    ['what watches over a container of CRI-O', `0::/kubepods.slice/crio-conmon-${id}.scope\n`],
    ['an id that is too short', `0::/docker/${id.slice(1)}\n`],
    ['an id that is too long', `0::/docker/${id}0\n`],
    ['an id in capitals', `0::/docker/${id.toUpperCase()}\n`],
    ['a name around an id', `0::/evil-${id}.scope\n`],
    ['more than there can be', `0::/${'a'.repeat(70_000)}/docker/${id}\n`],
  ])('is not told by %s', (_what, text) => {
    expect(containerIn(text)).toBeUndefined()
  })

  it('is told by each spelling of any id, whatever groups the process makes below', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...paths),
        hex,
        fc.array(fc.oneof(hex, fc.stringMatching(/^[\w.:@-]{1,40}$/))),
        ([, path], container, below) => {
          expect(containerIn(`0::${[path(container), ...below].join('/')}\n`)).toBe(container)
        },
      ),
    )
  })

  it('is 64 hex digits or none, whatever the text', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc
            .array(fc.constantFrom('0::/', 'docker', '/', ':', '\n', id, other, '.scope', 'user@1.service'))
            .map((parts) => parts.join('')),
        ),
        (text) => {
          const told = containerIn(text)
          expect(told === undefined || (/^[0-9a-f]{64}$/.test(told) && text.includes(told))).toBe(true)
        },
      ),
    )
  })

  it('of a process that is gone is not told', () => {
    expect(containerOf(2 ** 30)).toBeUndefined()
  })
})
