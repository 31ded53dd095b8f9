// The configuration that the demo runs Postern with: what a team that runs such an agent would write.

export interface Places {
  readonly crmPort: number
  readonly modelPort: number
  /** Of the authorization server. */
  readonly issuer: string
  /** Name of the API as a resource (RFC 8707). */
  readonly resource: string
  /** The user whose programs are agents where Postern runs as a service; `postern exec` has a listener of its own. */
  readonly uid: number
}

export const agentId = 'spiffe://demo.example/agents/assistant'
export const plannerId = 'spiffe://demo.example/planner'
export const researcherId = `${plannerId}/researcher`

/** Environment variables of Postern, not of the agent, that hold its secrets. */
export const secretVariables = { client: 'DEMO_CRM_CLIENT_SECRET', model: 'DEMO_MODEL_API_KEY' } as const

export const client = 'demo-agents'

/** What the authorization server knows the statements of Postern by. */
export const statements = 'https://postern.demo.example'

/** The application that users sign in to. */
export const application = 'demo-app'

export const configurationFile = 'postern.yaml'

/** Beside the configuration. */
export const statementKeyFile = 'statements.pem'
export const adminSocket = 'admin.sock'
/** Folder in which the service leaves what agents must trust. */
export const agentsFolder = 'agents'

/** The listener of the planner and all that it starts. */
export const teamListener = 'team'

/** Paths are relative to the file. */
export function configuration({ crmPort, modelPort, issuer, resource, uid }: Places): string {
  return `# The demo of Postern: an assistant, a planner with a researcher, an API, a model.
version: 1
trustDomain: demo.example
identity: { source: embedded }
exec: { agent: ${agentId} }
listen:
  - { name: shell, address: 127.0.0.1:0, accept: http-proxy, callers: [kernel], uids: { "${uid}": ${agentId} } }
  - { name: ${teamListener}, address: 127.0.0.1:0, accept: http-proxy, callers: [kernel], uids: { "${uid}": ${plannerId} } }
trust: { directory: ./${agentsFolder} }
admin: { socket: ./${adminSocket} }

# Names that exist here only. Everything lives on loopback, so every destination says that it means loopback.
resolve:
  api.crm.example: [127.0.0.1]
  llm.example: [127.0.0.1]
  weather.tools.example: [169.254.169.254]     # a name that somebody pointed at the cloud's metadata service

# A user who has signed in to the application can have the planner act for her, and it can hand on a part of that.
users:
  issuers:
    - issuer: ${issuer}
      audience: ${application}
      principal: email
      keys: { url: "${issuer}/jwks", ca: [login.pem], addresses: [127.0.0.0/8] }
delegation:
  grants:
    - { agents: [${plannerId}], principals: ["user:*@demo.example"], scopes: ["crm.contacts.*"] }

destinations:
  crm:   { hosts: [api.crm.example], ports: [${crmPort}], addresses: [127.0.0.0/8], ca: [services.pem] }
  model: { hosts: [llm.example], ports: [${modelPort}], addresses: [127.0.0.0/8], ca: [services.pem] }
  tools: { hosts: ["*.tools.example"] }

credentials:
  crm-token:
    kind: oauth2-client-credentials
    issuer: ${issuer}
    ca: [login.pem]
    addresses: [127.0.0.0/8]
    client: { id: ${client}, auth: client_secret_basic, secret: "\${env:${secretVariables.client}}" }
    resource: [${resource}]
    scopes: [contacts.read]
    for: [crm]
  crm-for-user:                    # in exchange for the user's own token: as much as every agent on the way holds
    kind: oauth2-token-exchange
    issuer: ${issuer}
    ca: [login.pem]
    addresses: [127.0.0.0/8]
    client: { id: ${client}, auth: client_secret_basic, secret: "\${env:${secretVariables.client}}" }
    subject: { from: principal }
    actor: { from: chain, issuer: ${statements}, key: "\${file:${statementKeyFile}}" }
    resource: [${resource}]
    scopes: [contacts.read, contacts.write]
    delegated: { contacts.read: crm.contacts.read, contacts.write: crm.contacts.write }
    for: [crm]
  model-key:
    kind: env
    variable: ${secretVariables.model}
    for: [model]

rules:
  - name: nobody-deletes
    deny: { methods: [DELETE] }
  - name: assistant-reads-contacts
    allow: { agents: [${agentId}], to: crm, paths: [/v1/**] }
    use: crm-token
    inject: bearer
  - name: contacts-read-for-user
    allow: { agents: [${plannerId}, "${plannerId}/*"], to: crm, methods: [GET], paths: [/v1/**] }
    requires: [crm.contacts.read]
    use: crm-for-user
  - name: contacts-added-for-user
    allow: { agents: [${plannerId}, "${plannerId}/*"], to: crm, methods: [POST], paths: [/v1/contacts] }
    requires: [crm.contacts.write]
    use: crm-for-user
  - name: assistant-asks-the-model
    allow: { agents: [${agentId}], to: model, methods: [POST], paths: [/v1/chat/completions] }
    use: model-key
    inject: { placeholder: { env: OPENAI_API_KEY, shape: openai } }
    limit: 100/minute per agent
  - name: assistant-uses-tools
    allow: { agents: [${agentId}], to: tools }

records: { to: ./records.jsonl }
`
}
