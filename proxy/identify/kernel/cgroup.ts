// The container of a process by its control groups (cgroups(7)), as the container runtimes name them.
import { readFileSync } from 'node:fs'

/** How Docker, containerd (also under Kubernetes), CRI-O, Podman and nerdctl call the group of one container. */
const container = /^(?:(?:docker|cri-containerd|crio|libpod|nerdctl)-)?([0-9a-f]{64})(?:\.scope)?$/
/** systemd's notation of containerd: slice, prefix, name. */
const triple = /:(?:cri-containerd|crio|docker):([0-9a-f]{64})$/
/** What lies below belongs to one user, who names groups there as it pleases (Delegation in systemd.resource-control(5)). */
const usersOwn = /^user@\d+\.service$/

/** Characters; a process is in some fourteen hierarchies at most. */
const longest = 65_536

/**
 * The outermost one: a process in a container may make groups below its own, but not above.
 * @param text of /proc/<pid>/cgroup
 * @returns 64 hex digits; undefined outside of containers, below a user's own manager, or where the hierarchies disagree
 */
export function containerIn(text: string): string | undefined {
  if (text.length > longest) return undefined
  let found: string | undefined
  for (const line of text.split('\n')) {
    // hierarchy:controllers:path; the path may hold colons itself.
    const path = line.slice(line.indexOf(':', line.indexOf(':') + 1) + 1)
    const id = outermost(path)
    if (id === undefined) continue
    if (found !== undefined && found !== id) return undefined
    found = id
  }
  return found
}

function outermost(path: string): string | undefined {
  for (const segment of path.split('/')) {
    if (usersOwn.test(segment)) return undefined
    const id = container.exec(segment)?.[1] ?? triple.exec(segment)?.[1]
    if (id !== undefined) return id
  }
  return undefined
}

/** Undefined also when the process is gone. */
export function containerOf(pid: number): string | undefined {
  try {
    return containerIn(readFileSync(`/proc/${pid}/cgroup`, 'latin1'))
  } catch {
    return undefined
  }
}
