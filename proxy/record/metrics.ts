// What Postern counts and measures, by the names under which operators find it.
import type { AuditRecord } from './line.ts'
import { Registry } from './registry.ts'

export type Metrics = ReturnType<typeof posternMetrics>

// OpenTelemetry's buckets for HTTP durations, and finer ones for what takes microseconds; seconds.
const requestBounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
const decisionBounds = [0.000_002_5, 0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.01]

/** @param build what this program calls itself */
export function posternMetrics(build: { readonly version: string; readonly node: string }) {
  const registry = new Registry()
  const counter = registry.counter.bind(registry)
  const gauge = registry.gauge.bind(registry)
  const metrics = {
    registry,
    requests: counter(
      'postern_requests_total',
      'Requests, tunnels, and connections that ended before a request, by decision (allow, deny, none), rule and reason of refusal.',
      ['decision', 'rule', 'reason'],
    ),
    findings: counter('postern_findings_total', 'Findings in requests and answers, by kind.', ['kind']),
    connections: counter('postern_connections_total', 'Connections accepted, by mode of the listener.', ['mode']),
    limitsReached: counter(
      'postern_limits_reached_total',
      'Connections that a limit closed or kept from a leaf, by limit (connections, connections_of_source, handshakes, leaves).',
      ['limit'],
    ),
    turnsWaiting: gauge(
      'postern_turns_waiting',
      'Requests, answers, handshakes and connections that wait for their turn now.',
    ),
    dnsQueries: counter(
      'postern_dns_queries_total',
      'DNS queries, by result (answered, empty, not_allowed, tunnel, failed, overloaded, malformed).',
      ['result'],
    ),
    connectionsActive: gauge('postern_connections_active', 'Connections open now.'),
    upstreamDuration: registry.histogram(
      'postern_upstream_request_duration_seconds',
      'From sending a request until the head of its answer.',
      requestBounds,
    ),
    hostsRemembered: gauge(
      'postern_upstream_hosts_remembered',
      'Hosts that are remembered, with their TLS sessions, by destination; none before its first request.',
      ['destination'],
    ),
    decisionDuration: registry.histogram(
      'postern_decision_duration_seconds',
      'Asking the policy about one request.',
      decisionBounds,
    ),
    credentialRequests: counter(
      'postern_credential_requests_total',
      'Credentials that were not there, by kind of provider and result (miss, refresh, failure, crowded).',
      ['provider', 'result'],
    ),
    cacheHits: counter('postern_credential_cache_hits_total', 'Credentials that were there already.', ['credential']),
    cacheMisses: counter('postern_credential_cache_misses_total', 'Credentials that had to be obtained.', [
      'credential',
    ]),
    credentialRevocations: counter(
      'postern_credential_revocations_total',
      'Attempts to take back what was made for those who were stopped, by credential and result (revoked, failed, abandoned).',
      ['credential', 'result'],
    ),
    credentialExpiry: gauge(
      'postern_credential_expiry_seconds',
      'Seconds that the credential used last was valid for at that time.',
      ['credential'],
    ),
    svidExpiry: gauge('postern_svid_expiry_timestamp_seconds', 'When the SVID of this process expires, as Unix time.'),
    caExpiry: gauge('postern_ca_expiry_timestamp_seconds', 'When the authority of the leaves expires, as Unix time.'),
    federationRefreshes: counter(
      'postern_federation_refreshes_total',
      'Looks at the bundles of federated trust domains, by trust domain and result (ok, failed).',
      ['trust_domain', 'result'],
    ),
    federationRefreshed: gauge(
      'postern_federation_refresh_timestamp_seconds',
      'When the bundle of a federated trust domain was last read, as Unix time.',
      ['trust_domain'],
    ),
    reloadSuccess: counter('postern_config_reload_success_total', 'Configurations loaded.'),
    reloadFailure: counter('postern_config_reload_failure_total', 'Configurations refused; the one before stayed.'),
    lastReload: gauge(
      'postern_config_last_reload_success_timestamp_seconds',
      'When a configuration was last loaded, as Unix time.',
    ),
    bytesReceived: counter('postern_bytes_received_total', 'Bytes of bodies and tunnels that came from agents.'),
    bytesSent: counter('postern_bytes_sent_total', 'Bytes of bodies and tunnels that agents were given.'),
    stopsActive: gauge('postern_stops_active', 'Orders to stop that are in force.'),
    stopsUnwritten: gauge('postern_stops_unwritten', 'Orders and lifts that are in effect and not on the disk yet.'),
    stopFeedStale: gauge(
      'postern_stop_feed_stale',
      '1 while no recent feed of stops is known, else 0; absent without a feed.',
    ),
    stopFeedFailures: counter('postern_stop_feed_failures_total', 'Looks at the feed of stops that failed.'),
    budgetUsed: gauge(
      'postern_budget_used_ratio',
      'Of those who share a budget, what the one who has used most has used of it: 1 is all; by budget.',
      ['budget'],
    ),
    recordsHealthy: gauge('postern_records_healthy', '1 while records can be written, else 0.'),
    recordsDropped: counter('postern_log_dropped_total', 'Records that were dropped because none could be written.'),
    copyHealthy: gauge(
      'postern_otlp_healthy',
      '1 while the collector takes copies of records, else 0; absent without one.',
    ),
    copyDropped: counter('postern_otlp_dropped_total', 'Copies of records that the collector did not get.'),
    buildInfo: gauge('postern_build_info', 'Always 1; says what is running.', ['version', 'node']),
  }
  metrics.buildInfo.set(1, build.version, build.node)
  metrics.recordsHealthy.set(1)
  return metrics
}

/** Counts what a record says. */
export function observer(metrics: Metrics): (record: AuditRecord) => void {
  return (record) => {
    const { decision, refusal, ms, credential, request, response, findings } = record
    metrics.requests.add(1, decision?.verdict ?? 'none', decision?.rule ?? '', refusal?.reason ?? '')
    if (ms?.forward !== undefined) metrics.upstreamDuration.observe(ms.forward / 1_000)
    if (ms?.authorize !== undefined) metrics.decisionDuration.observe(ms.authorize / 1_000)
    if (credential?.cache !== undefined) {
      if (credential.cache === 'hit') metrics.cacheHits.add(1, credential.name)
      else metrics.cacheMisses.add(1, credential.name)
      if (credential.expires_in_s !== undefined) metrics.credentialExpiry.set(credential.expires_in_s, credential.name)
    }
    if (request?.bytes !== undefined) metrics.bytesReceived.add(request.bytes)
    if (response !== undefined) metrics.bytesSent.add(response.bytes)
    if (findings !== undefined) for (const { kind, count } of findings) metrics.findings.add(count ?? 1, kind)
  }
}
