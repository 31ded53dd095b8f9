// An example for each section in docs/configuration.md. Behind `version` and `trustDomain` each is a whole configuration; a test loads it.

export const sectionExamples: Readonly<Record<string, string>> = {
  identity: `identity:
  source: files
  certificate: svid/svid.pem
  key: svid/svid_key.pem
  bundles:
    acme.example: svid/svid_bundle.pem
`,
  federation: `federation:
  # A partner whose endpoint has a certificate of the web.
  partner.example: { source: https_web, url: "https://bundles.partner.example/" }
  # A sister whose endpoint proves itself by its own X509-SVID; the file is what it is verified with at first.
  sister.example:
    source: https_spiffe
    url: https://spire.sister.example:8443/
    endpointId: spiffe://sister.example/spire/server
    bundle: sister.pem
    addresses: [10.30.0.0/16]
  # What somebody else fetches, and what SPIRE federates with.
  files.example: { source: file, path: bundles/files.json }
  cluster.example: { source: workload-api }

identity: { source: workload-api, socket: "unix:///run/spire/agent.sock" }
`,
  kubernetes: `kubernetes:
  issuer: https://kubernetes.default.svc.cluster.local
  keys:
    url: https://kubernetes.default.svc/openid/v1/jwks
    ca: [cluster-ca.pem]
    addresses: [10.96.0.1/32]

listen:
  - { name: pods, address: "[::]:15003", accept: https-proxy, callers: [kubernetes-token] }

identity: { source: files, certificate: svid.pem, key: svid_key.pem }
`,
  users: `users:
  issuers:
    - issuer: https://login.acme.example
      audience: postern
      principal: email
      prefix: "acme:"
      keys: { url: https://login.acme.example/jwks }
    - issuer: https://tokens.acme.example
      audience: https://postern.acme.example
      prefix: "desk:"
      tokens: [access-token, id-jag]
      keys: { file: keys/tokens.json }
      algorithms: [ES256]
      maxAge: 10m
`,
  dns: `dns:
  listen: ["127.0.0.1:15053", "[::1]:15053"]
`,
  listen: `listen:
  # Processes of this machine: user 1001 is the researcher, user 1002 the clerk, any other is nobody.
  - name: local
    address: 127.0.0.1:15001
    accept: http-proxy
    callers: [kernel]
    uids:
      1001: spiffe://acme.example/researcher
      1002: spiffe://acme.example/clerk
  # The same on a socket, for whoever can open it.
  - name: socket
    address: unix:///run/postern/agents.sock
    accept: http-proxy
    callers: [kernel]
    agent: spiffe://acme.example/clerk
  # Other machines, each with its X509-SVID.
  - name: mesh
    address: "[::]:15002"
    accept: https-proxy
    callers: [x509-svid]

identity: { source: files, bundles: { acme.example: svid_bundle.pem } }
`,
  trust: `trust: { directory: /run/postern }
`,
  admin: `admin:
  socket: /run/postern/admin.sock
  metrics: 0.0.0.0:15020
  hosts: [postern.agents.svc]
`,
  resolve: `resolve:
  registry.acme.example: [10.7.0.12, "fd12::7"]

destinations:
  registry:
    hosts: [registry.acme.example]
    addresses: [10.7.0.12, "fd12::7"]       # the guard wants to know, too
`,
  destinations: `destinations:
  crm:
    hosts: [api.crm.example]                # https, port 443, public addresses only
  search:
    hosts: ["*.search.acme.example"]        # below it, not search.acme.example itself
    addresses: [10.20.0.0/16]
    ca: [internal-ca.pem]
    timeouts: { headers: 2m }
  model-here:
    hosts: [localhost]
    protocol: http                          # in clear, which is for this machine alone
    ports: [11434]
    addresses: [127.0.0.0/8, "::1"]
  database:
    hosts: [db.acme.example]
    protocol: opaque                        # not HTTP: allowed or not, no more
    ports: [5432]
    addresses: [10.30.4.7]
`,
  credentials: `credentials:
  crm-token:
    kind: oauth2-client-credentials
    issuer: https://login.acme.example
    client: { id: postern, auth: client_secret_basic, secret: "\${file:secrets/crm-client}" }
    scopes: [contacts.read]
    for: [crm]

destinations:
  crm: { hosts: [api.crm.example] }
`,
  rules: `rules:
  - name: contacts-are-kept
    deny: { to: crm, methods: [DELETE] }
  - name: researcher-reads-contacts
    allow:
      agents: [spiffe://acme.example/researcher]
      to: crm
      methods: [GET]
      paths: [/v1/contacts, /v1/contacts/**]
    use: crm-key
    inject: { header: X-Api-Key }
    limit: 60/minute per agent

destinations:
  crm: { hosts: [api.crm.example] }
credentials:
  crm-key: { kind: file, path: secrets/crm-key, for: [crm] }
`,
  budgets: `budgets:
  tokens-of-a-user:
    per: user
    for: { to: model }
    every: 1d
    cost: { json: usage.total_tokens, units: 200000, reserve: 4000 }
  one-task:
    per: txn
    every: 1h
    requests: 500
    responseBytes: 50000000
    paths: 100

destinations:
  model: { hosts: [api.openai.com] }
`,
  delegation: `delegation:
  grants:
    - agents: [spiffe://acme.example/ns/agents/sa/planner]
      principals: ["user:*@acme.example"]
      scopes: ["crm.*"]
      constraints: [{ key: host, one_of: [api.crm.example] }]
      maxDepth: 3
  handoffs:
    - { from: [spiffe://acme.example/ns/agents/sa/planner], to: ["spiffe://acme.example/ns/agents/*"] }
`,
  records: `records:
  to: /var/log/postern/records.jsonl
  durability: intent
  checkpoint: { records: 500, every: 30s }
  otlp:
    endpoint: http://127.0.0.1:4318/v1/logs
    headers: { authorization: "\${file:secrets/collector}" }
  fingerprintKey: "\${file:secrets/fingerprint-key}"
`,
  stop: `stop:
  file: /var/lib/postern/stops.jsonl
  feed:
    url: https://stops.acme.example/feed
    issuer: https://stops.acme.example
    jwks: https://stops.acme.example/jwks
`,
  exec: `exec: { agent: spiffe://acme.example/coder }
`,
}
