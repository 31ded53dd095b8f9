// The upper bound: TLS taken off and put on again, bytes passed as they come, nothing read.
import { connect } from 'node:tls'
import { acceptTunnels, upstream } from './lean.ts'

acceptTunnels((inside) => {
  const outside = connect({ ...upstream, ALPNProtocols: ['http/1.1'] })
  outside.setNoDelay(true)
  inside.on('close', () => outside.destroy())
  outside.on('close', () => inside.destroy())
  outside.on('error', () => inside.destroy())
  inside.pipe(outside)
  outside.pipe(inside)
})
