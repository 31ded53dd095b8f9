// What the injector counts, by the names under which operators find it.
import { Registry } from '../../proxy/record/registry.ts'

export type InjectorMetrics = ReturnType<typeof injectorMetrics>

// OpenTelemetry's lower buckets for HTTP durations; seconds.
const bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

export function injectorMetrics() {
  const registry = new Registry()
  const counter = registry.counter.bind(registry)
  return {
    registry,
    seen: counter('postern_injection_requests_total', 'Reviews, by endpoint (mutate, validate).', ['endpoint']),
    injected: counter('postern_injection_success_total', 'Pods that the proxy was put into, by mode.', ['mode']),
    intact: counter('postern_injection_intact_total', 'Pods that were found whole by the validating endpoint.'),
    skipped: counter('postern_injection_skip_total', 'Pods that are none of ours, by reason.', ['reason']),
    refused: counter('postern_injection_refused_total', 'Reasons why pods were refused; a pod may have several.', [
      'reason',
    ]),
    failed: counter('postern_injection_failure_total', 'Reviews that could not be answered, by cause.', ['cause']),
    duration: registry.histogram(
      'postern_injection_duration_seconds',
      'From the last byte of a review to its answer.',
      bounds,
    ),
    certificateExpiry: registry.gauge(
      'postern_webhook_cert_expiry_timestamp_seconds',
      'When the certificate that is shown to the API server expires, as Unix time.',
    ),
    leader: registry.gauge('postern_injector_leader', '1 where this replica rotates the certificate.'),
  }
}
