// A configuration that is right, for tests that bend it.

/** Two agents, two places, a credential, rules: the configuration of DESIGN with what can be had without a network. */
export const good = `version: 1
trustDomain: acme.example
identity: { source: embedded }
listen:
  - { name: agents, address: 127.0.0.1:15001, accept: http-proxy, callers: [kernel], agent: spiffe://acme.example/local }
  - { name: mesh, address: 0.0.0.0:15002, accept: https-proxy, callers: [x509-svid] }
admin: { socket: run/admin.sock, metrics: 127.0.0.1:15020 }
destinations:
  crm: { hosts: [api.crm.example] }
  search: { hosts: ["*.search.example"], addresses: [10.20.0.0/16] }
credentials:
  crm-token:
    kind: oauth2-client-credentials
    tokenEndpoint: https://login.acme.example/token
    client: { id: agents, auth: client_secret_basic, secret: "\${env:CRM_SECRET}" }
    scopes: [contacts.read]
    for: [crm]
rules:
  - name: nobody-deletes
    deny: { methods: [DELETE] }
  - name: researcher-reads-contacts
    allow:
      agents: [spiffe://acme.example/ns/agents/sa/researcher]
      to: crm
      methods: [GET]
      paths: [/v1/contacts/**]
    when: chain.depth <= 2 && principal.kind == "user"
    use: crm-token
    inject: bearer
    limit: 60/minute per agent
records: { to: ./records.jsonl }
`

export const goodEnvironment = { CRM_SECRET: 'canary-0000-secret' }
