// Keeps the memory for young objects from growing while the program starts.
//
// Nearly all that a start makes stays, which V8 takes for a busy program: it gives young objects twice 8 MB, of which a
// proxy at rest then uses nothing. Held back until the proxy is ready, it grows when requests come, as it would have.
import { setFlagsFromString } from 'node:v8'

export function holdYoungGeneration(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
}

/** To V8's own measure. */
export function releaseYoungGeneration(): void {
  setFlagsFromString('--semi-space-growth-factor=2')
}
