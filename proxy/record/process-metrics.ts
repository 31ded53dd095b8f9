// What the operating system and Node tell of this process, under the names that Prometheus clients share. Read at each scrape.
import { readdirSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Registry } from './registry.ts'

/** @returns stops the measuring of the event loop */
export function processMetrics(registry: Registry): () => void {
  const startedAt = Math.round((Date.now() - process.uptime() * 1_000) / 10) / 100
  const cpu = (which: (usage: NodeJS.CpuUsage) => number) => () => which(process.cpuUsage()) / 1e6
  registry.counter('process_cpu_user_seconds_total', 'CPU time spent in user mode.').from(cpu(({ user }) => user))
  registry
    .counter('process_cpu_system_seconds_total', 'CPU time spent in the kernel.')
    .from(cpu(({ system }) => system))
  registry.counter('process_cpu_seconds_total', 'CPU time spent.').from(cpu(({ user, system }) => user + system))
  registry.gauge('process_start_time_seconds', 'When this process started, as Unix time.').from(() => startedAt)
  registry.gauge('process_resident_memory_bytes', 'Resident memory.').from(() => process.memoryUsage.rss())
  registry.gauge('process_open_fds', 'Open file descriptors; Linux only.').from(openDescriptors)

  const delay = monitorEventLoopDelay({ resolution: 20 })
  delay.enable()
  registry.gauge('nodejs_eventloop_lag_seconds', 'Mean delay of the event loop since the scrape before.').from(() => {
    // The histogram measures timers of 20 ms, whose own length is in each value.
    const lag = Math.max(0, delay.mean / 1e9 - 0.02)
    delay.reset()
    return Number.isNaN(lag) ? 0 : lag
  })
  return () => {
    delay.disable()
  }
}

function openDescriptors(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return undefined
  }
}
