// docs/reasons.md, from the one table of refusals.
import { type Reason, reasons } from '../../proxy/refusal.ts'

const opening = `# Reasons of refusal

Made from \`proxy/refusal.ts\` by \`npm run docs\`; do not edit.

A request that Postern ends itself is answered with \`application/problem+json\` (RFC 9457). Its \`reason\` is one of these, and stands in the record as \`refusal.reason\`, in the metrics as the label \`reason\`. The list is closed: nothing else ends a request early. What exactly was expected and found is in the record alone; \`postern why ID\` tells it.

Reasons whose status is 495 or 499 never reach an agent; they are in records alone.

| reason | status | the agent is told | what to do next |
| --- | --- | --- | --- |
`

export function reasonsPage(): string {
  const rows = (Object.keys(reasons) as Reason[]).map((reason) => {
    const { status, title, next } = reasons[reason]
    return `| \`${reason}\` | ${status} | ${title} | ${next} |`
  })
  return `${opening}${rows.join('\n')}\n`
}
