// docs/limits.md says the numbers that the code keeps.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { longestBundle } from '../../certs/bundle/members.ts'
import { maxSignatureChecks } from '../../certs/svid/path.ts'
import { maxChain } from '../../certs/svid/validate.ts'
import { maxLength as longestCertificate } from '../../certs/x509/certificate.ts'
import { answerWithin } from '../../cli/wire/bundle-endpoint.ts'
import { mostAccounts, mostPaths } from '../../policy/budgets/ledger.ts'
import { maxLength as longestExpression } from '../../policy/expression.ts'
import { maxBuckets } from '../../policy/limits.ts'
import { maxPairs } from '../../policy/query.ts'
import { longestReason } from '../../policy/stop/stop.ts'
import { bodyPatience } from '../../proxy/capture/body.ts'
import { largestHello } from '../../proxy/capture/client-hello.ts'
import { crowdLimits } from '../../proxy/capture/crowd.ts'
import { limits } from '../../proxy/capture/listener.ts'
import { mostFields } from '../../proxy/capture/request.ts'
import { maxDepth, maxValues } from '../../proxy/config/document.ts'
import { maxBytes } from '../../proxy/config/load.ts'
import { mostUnderWay } from '../../proxy/dns/answer.ts'
import { longestQuery } from '../../proxy/dns/message.ts'
import { mostPins } from '../../proxy/dns/pins.ts'
import { mostStreams, streamIdle } from '../../proxy/dns/stub.ts'
import { longestPrefix, mostLabels, mostNewNames } from '../../proxy/dns/tunnels.ts'
import { mostWaiting } from '../../proxy/forward/answer.ts'
import { largestAnswerHead } from '../../proxy/forward/dispatcher.ts'
import { mostAsked, mostLookups } from '../../proxy/forward/lookups.ts'
import { mostRemembered } from '../../proxy/forward/recent.ts'
import { destinationSchema } from '../../proxy/forward/settings.ts'
import { longestUserToken } from '../../proxy/identify/user-token/jwt.ts'
import { longestSecret } from '../../proxy/obtain/make-secret.ts'
import { mostMinted } from '../../proxy/obtain/manager.ts'
import { largestAnswer } from '../../proxy/obtain/oauth2/json-call.ts'
import { mostRevocations } from '../../proxy/obtain/revocations.ts'
import { largestOutput } from '../../proxy/obtain/run-command.ts'
import { largestFile } from '../../proxy/obtain/small-file.ts'
import { largestBody } from '../../proxy/record/admin-answers.ts'
import { mostFindings } from '../../proxy/record/audit/verify.ts'
import { longestPath, longestText } from '../../proxy/record/line.ts'
import { writerLimits } from '../../proxy/record/line-writer.ts'
import { otlpLimits } from '../../proxy/record/otlp.ts'
import { mostKeys } from '../../proxy/record/query-keys.ts'
import { mostSeries } from '../../proxy/record/registry.ts'
import { ampleBytes, ampleRatio, mostCodings } from '../../proxy/redact/decode.ts'
import { shortestSecret } from '../../proxy/redact/encodings.ts'
import { mostDue } from '../../proxy/redact/websocket.ts'
import { reasons } from '../../proxy/refusal.ts'
import { largestOrder } from '../../proxy/stop/drop.ts'
import { largestFeed } from '../../proxy/stop/feed-document.ts'

const page = readFileSync(new URL('../../docs/limits.md', import.meta.url), 'utf8')
/** First cell of a row → second. */
const rows = new Map(
  [...page.matchAll(/^\| ([^|]+) \| ([^|]+) \| [^|]+ \|$/gm)].map(([, limit = '', number = '']) => [limit, number]),
)

const grouped = (number: number) => number.toLocaleString('en')
const seconds = (milliseconds: number) => `${milliseconds / 1_000} s`
const { timeouts } = destinationSchema.parse({ hosts: ['api.example'] })

const kept: readonly (readonly [limit: string, number: string])[] = [
  ['Head of a request, all fields together', grouped(limits.headBytes)],
  ['Header fields of a request', grouped(mostFields)],
  ['Time for the head of a request', seconds(limits.headMilliseconds)],
  ['Idle time between two requests of a connection', seconds(limits.idleMilliseconds)],
  ['Time until the first bytes in a tunnel, and for its TLS handshake, each', seconds(limits.firstBytesMilliseconds)],
  ['Time for the TLS handshake with a listener', seconds(limits.headMilliseconds)],
  ['ClientHello', grouped(largestHello)],
  ['Time without a byte in the body of a request', seconds(bodyPatience)],
  ['Connections open on one listener', grouped(crowdLimits.connections)],
  ['DNS query', grouped(longestQuery)],
  ['DNS resolutions under way at once', grouped(mostUnderWay)],
  ['DNS streams open on one address', grouped(mostStreams)],
  ['Of these being resolved by the system at once', String(mostAsked)],
  ['Time without a whole query on a DNS stream', seconds(streamIdle)],
  ['Characters in front of the suffix that a rule’s `*.suffix` leaves open, asked by DNS', grouped(longestPrefix)],
  ['Labels there', grouped(mostLabels)],
  ['New names below such suffixes in a minute', grouped(mostNewNames)],
  ['Addresses remembered as given out', grouped(mostPins)],
  ['Body of a request', 'none'],
  ['Certificates that a caller presents', grouped(maxChain)],
  ['One certificate', grouped(longestCertificate)],
  ['Signatures checked for one caller', grouped(maxSignatureChecks)],
  ['Answer of a bundle endpoint', grouped(longestBundle)],
  ['Time for an answer of a bundle endpoint', seconds(answerWithin)],
  ['Parameters of a query that rules look at', grouped(maxPairs)],
  ['Characters of an expression', grouped(longestExpression)],
  ['Agents that one rule’s `limit` counts for at once', grouped(maxBuckets)],
  ['Accounts of one budget in a window', grouped(mostAccounts)],
  ['Distinct paths of one budget in a window, of all accounts together', grouped(mostPaths)],
  ['Characters of a credential', grouped(longestSecret)],
  ['File of a secret', grouped(largestFile)],
  ['What a command of kind `exec` prints', grouped(largestOutput)],
  ['Answer of a token server', grouped(largestAnswer)],
  ['Tokens remembered in order to be taken back', grouped(mostMinted)],
  ['Tokens of those who were stopped that are still to be taken back', grouped(mostRevocations)],
  ['Characters of a user’s token', grouped(longestUserToken)],
  ['Names of one destination being resolved at once', String(mostLookups)],
  ['Hosts of one destination that are remembered, with their TLS sessions', grouped(mostRemembered)],
  ['Head of an answer', grouped(largestAnswerHead)],
  ['Bytes of an answer that wait for the agent', grouped(mostWaiting)],
  ['Resolving and connecting, TLS included', `\`timeouts.connect\`, ${seconds(timeouts.connect)}`],
  ['Until the head of the answer', `\`timeouts.headers\`, ${seconds(timeouts.headers)}`],
  ['Without a byte in a body, a tunnel or a WebSocket', `\`timeouts.idle\`, ${seconds(timeouts.idle)}`],
  ['Body of an answer', 'none'],
  ['Content codings on top of each other', grouped(mostCodings)],
  [`Decoded body, when it is also more than ${ampleRatio} times its coded size`, grouped(ampleBytes)],
  ['Frames of a WebSocket that wait while a find is open', grouped(mostDue)],
  ['Characters of records that wait while none can be written', grouped(writerLimits.backlog)],
  ['Time a record waits for others', `${writerLimits.linger} ms`],
  ['Time a write may take', seconds(writerLimits.stall)],
  ['Characters of copies that wait for a collector', grouped(otlpLimits.backlog)],
  ['Time a collector may take to answer', seconds(otlpLimits.patience)],
  ['Findings that verification lists', grouped(mostFindings)],
  ['Names of query parameters in a record', grouped(mostKeys)],
  ['Characters of a path in a record', grouped(longestPath)],
  ['Characters of any other text in a record', grouped(longestText)],
  ['Series of a metric', grouped(mostSeries)],
  ['Body on the admin socket', grouped(largestBody)],
  ['File of the folder of stops', grouped(largestOrder)],
  ['Feed of stops', grouped(largestFeed)],
  ['Characters of a reason to stop', grouped(longestReason)],
  ['File', grouped(maxBytes)],
  ['Values in it, aliases counted as often as they are used', grouped(maxValues)],
  ['Depth of nesting', grouped(maxDepth)],
]

describe('docs/limits.md', () => {
  it.each(kept)('says of "%s": %s', (limit, number) => {
    expect(rows.get(limit)).toBe(number)
  })

  it('says nothing that is not looked at here', () => {
    const known = new Set(['limit', '---', ...kept.map(([limit]) => limit)])
    expect([...rows.keys()].filter((limit) => !known.has(limit))).toEqual([])
  })

  it('names reasons that there are, with their status', () => {
    for (const [, reason = '', status] of page.matchAll(/`([a-z]+_[a-z_]+)`(?: \((\d+)\))?/g)) {
      const row = Object.entries(reasons).find(([name]) => name === reason)?.[1]
      expect(row, reason).toBeDefined()
      if (status !== undefined) expect([reason, row?.status]).toEqual([reason, Number(status)])
    }
  })

  it('says how short a secret is not looked for', () => {
    expect(page).toContain(`Secrets shorter than ${shortestSecret} characters`)
  })
})
