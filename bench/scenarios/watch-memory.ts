// Samples a process's memory while something else goes on.
import { residentMegabytes } from '../machine.ts'

/** @returns a handle whose `stop` answers the most that was seen, in megabytes; NaN without a process */
export function watchMemory(pid: number | undefined): { stop(): number } {
  let most = Number.NaN
  const look = (): void => {
    const seen = pid === undefined ? undefined : residentMegabytes(pid)
    if (seen !== undefined && !(seen <= most)) most = seen
  }
  look()
  const timer = setInterval(look, 50)
  return {
    stop() {
      clearInterval(timer)
      return most
    },
  }
}
