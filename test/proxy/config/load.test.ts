import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../../proxy/config/load.ts'
import { ConfigError } from '../../../proxy/config/problems.ts'
import { makeAuthority } from '../../support/pki.ts'
import { changed, folderWith, load, problems, refusal } from './folder.ts'
import { good, goodEnvironment } from './good.ts'

const environment = goodEnvironment
const wrong = (from: string, to: string) => problems(changed(from, to), { environment })

describe('a file that cannot be used', () => {
  it('is missing', async () => {
    const path = join(folderWith({}), 'postern.yaml')
    const error = await loadConfig(path, {}).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ConfigError)
    expect(error).toMatchObject({ kind: 'unreadable', message: `${path}:1:1: does not exist` })
  })

  it('is a folder', async () => {
    const folder = folderWith({})
    mkdirSync(join(folder, 'postern.yaml'))
    await expect(loadConfig(join(folder, 'postern.yaml'), {})).rejects.toMatchObject({
      kind: 'unreadable',
      problems: [{ message: 'is not a file' }],
    })
  })

  it.skipIf(process.getuid?.() === 0)('may not be read (skipped as root, who may read everything)', async () => {
    const path = join(folderWith({ 'postern.yaml': good }), 'postern.yaml')
    chmodSync(path, 0)
    await expect(loadConfig(path, {})).rejects.toMatchObject({ kind: 'unreadable' })
  })

  it('is empty', async () => {
    expect(await problems('')).toEqual([' › the file is empty'])
    expect(await problems('# nothing but a comment\n')).toEqual(['# › the file is empty'])
  })

  it('is larger than a megabyte', async () => {
    expect(await problems(`${good}#${' '.repeat(1_048_576)}`)).toEqual(['version: › is larger than 1048576 bytes'])
  })

  it('is not UTF-8', async () => {
    const path = join(folderWith({ 'postern.yaml': Uint8Array.of(0x76, 0xff, 0xfe) }), 'postern.yaml')
    await expect(loadConfig(path, {})).rejects.toMatchObject({ problems: [{ message: 'is not UTF-8' }] })
  })

  it('is text of another kind', async () => {
    expect(await problems('hello')).toEqual(['hello › text stands here; expected a map'])
  })
})

describe('broken YAML', () => {
  it('is told with its line', async () => {
    expect(await problems('version: 1\nlisten: [a\ntrustDomain: b\n')).toEqual([
      expect.stringContaining('trustDomain: › flow sequence'),
    ])
  })

  it.each([
    ['a key that stands twice', 'version: 1\nversion: 1\n', 'version: › version: `version` stands twice'],
    ['a second document', 'version: 1\n---\nversion: 1\n', '--- › a second document; there can be one only'],
    ['a tag of its own', 'version: !secret 1\n', '!secret › tags are not used here'],
    ['a binary', 'version: !!binary aGk=\n', '!!binary › tags are not used here'],
    ['an older YAML', '%YAML 1.1\n---\nversion: 1\n', '%YAML › only YAML 1.2 is read'],
    ['a name that objects know otherwise', '__proto__: 1\n', '__proto__: › __proto__: `__proto__` cannot be a name'],
    [
      'an alias in what it stands for',
      'rules: &a [*a]\n',
      '*a › rules[0]: the alias stands for nothing that is complete before it',
    ],
    ['a merge key, which is none', '<<: {version: 1}\n', '<<: › "<<": unknown key'],
  ])('%s', async (_what, text, problem) => {
    expect(await problems(text)).toContainEqual(expect.stringContaining(problem))
  })

  it('that aliases would blow up is refused before it is', async () => {
    const levels = [...'abcdefgh'].map((name, level) =>
      level === 0
        ? `${name}: &${name} [1,1,1,1,1,1,1,1,1,1]`
        : `${name}: &${name} [${Array(10).fill(`*${'abcdefgh'[level - 1]}`)}]`,
    )
    expect(await problems(levels.join('\n'))).toEqual(['[ › e: more than 100000 values, aliases followed'])
  })

  it('that is nested without end is refused', async () => {
    expect(await problems(`rules: ${'['.repeat(50_000)}`)).toContainEqual(
      expect.stringContaining('nested deeper than 64 levels'),
    )
    expect(await problems(`rules:\n  ${'- '.repeat(2_000)}a\n`)).toContainEqual(
      expect.stringContaining('nested deeper than 64 levels'),
    )
  })

  it('shows no value in the excerpt, since nobody knows what it is', async () => {
    const error = await refusal('credentials:\n  a: { token: "hunter2" ] }\n')
    expect(error.render()).not.toMatch(/hunter/)
    expect(error.render()).toContain('  a: { •••••: "•••••••" ] }')
  })
})

describe('an unknown key', () => {
  it.each([
    [
      'at the top',
      'trustDomain:',
      'trustDomian:',
      'trustDomian: › trustDomian: unknown key; did you mean `trustDomain`?',
    ],
    [
      'in a list',
      'accept: http-proxy',
      'acept: http-proxy',
      'acept: › listen[0].acept: unknown key; did you mean `accept`?',
    ],
    [
      'in one of several kinds',
      'scopes:',
      'scope:',
      'scope: › credentials.crm-token.scope: unknown key; did you mean `scopes`?',
    ],
    [
      'deep inside',
      'auth: client_secret_basic, secret',
      'auth: client_secret_basic, secrt',
      'secrt: › credentials.crm-token.client.secrt: unknown key; did you mean `secret`?',
    ],
    [
      'in a rule',
      'methods: [GET]',
      'metods: [GET]',
      'metods: › rules[1].allow.metods: unknown key; did you mean `methods`?',
    ],
    [
      'with nothing near',
      'methods: [GET]',
      'frobnicate: [GET]',
      'frobnicate: › rules[1].allow.frobnicate: unknown key; expected one of `agents`, `to`, `principals`, `methods`, `paths`, `query`, `headers`',
    ],
  ])('%s', async (_where, from, to, problem) => {
    expect(await wrong(from, to)).toContainEqual(problem)
  })

  it('of another kind of credential names the keys of this kind', async () => {
    expect(await wrong('    scopes: [contacts.read]', '    variable: X')).toContainEqual(
      expect.stringMatching(
        /^variable: › credentials\.crm-token\.variable: unknown key; expected one of `kind`, `for`, `ttl`, /,
      ),
    )
  })
})

describe('a wrong value', () => {
  it.each([
    [
      'a word',
      'accept: http-proxy',
      'accept: http-prxy',
      'http-prxy › listen[0].accept: not a valid value; did you mean `http-proxy`?',
    ],
    [
      'a kind',
      'kind: oauth2-client-credentials',
      'kind: oauth2-client-credential',
      'oauth2-client-credential › credentials.crm-token.kind: not a valid value; did you mean `oauth2-client-credentials`?',
    ],
    [
      'no kind',
      'kind: oauth2-client-credentials',
      'for: [crm]',
      'crm-token: › credentials.crm-token.kind: is missing; expected one of `env`, `file`, `exec`, `oauth2-client-credentials`, `oauth2-token-exchange`, `oauth2-refresh-token`',
    ],
    ['a version to come', 'version: 1', 'version: 2', '2 › version: not a valid value; expected `1`'],
    [
      'text for a number',
      'hosts: [api.crm.example]',
      'hosts: [api.crm.example], ports: ["443"]',
      '"443" › destinations.crm.ports[0]: text stands here; expected a number',
    ],
    [
      'a number for text',
      'scopes: [contacts.read]',
      'scopes: [1]',
      '1 › credentials.crm-token.scopes[0]: a number stands here; expected text (put it in quotes)',
    ],
    ['nothing', 'records: { to: ./records.jsonl }', 'records:', ' › records: nothing stands here; expected a map'],
    [
      'a map for a word',
      'accept: http-proxy',
      'accept: {a: b}',
      '{ › listen[0].accept: a map stands here; expected one of `http-proxy`, `https-proxy`, `redirected`',
    ],
    [
      'an expression',
      'chain.depth',
      'chain.dept',
      'chain.dept › rules[1].when: no such key: dept at character 7, `dept`',
    ],
    [
      'a limit',
      '60/minute per agent',
      '60 a minute',
      expect.stringMatching(/^60 › rules\[1\]\.limit: not in the right form; expected a limit such as/),
    ],
    [
      'a reference',
      '"${env:CRM_SECRET}"',
      'hunter2',
      'hunter2 › credentials.crm-token.client.secret: not in the right form; expected a reference such as ${env:NAME} or ${file:/path}; secrets do not stand in the configuration',
    ],
    [
      'a trust domain',
      'trustDomain: acme.example',
      'trustDomain: Acme',
      expect.stringMatching(/^Acme › trustDomain: not a trust domain: .*; expected a name such as acme\.example$/),
    ],
    [
      'an alternative',
      'inject: bearer',
      'inject: bearr',
      expect.stringMatching(/^bearr › rules\[1\]\.inject: .*did you mean `bearer`\?$/),
    ],
    [
      'a key of an alternative',
      'inject: bearer',
      'inject: { headr: X-Key }',
      'headr: › rules[1].inject.headr: unknown key; did you mean `header`?',
    ],
    [
      'a name',
      '  crm: { hosts',
      '  "c r m": { hosts',
      '"c r m" › destinations."c r m": not in the right form; expected a name of letters, digits, dots, dashes and underscores, at most 63 of them',
    ],
  ])('%s', async (_what, from, to, problem) => {
    expect(await wrong(from, to)).toContainEqual(problem)
  })

  it('that may be a secret is shown neither in the message nor in the excerpt', async () => {
    const text = changed('"${env:CRM_SECRET}"', 'hunter2, sceret: hunter3')
    const error = await refusal(text, { environment })
    expect(error.render()).toContain('secret: •••••••, sceret: •••••••')
    expect(error.render() + error.message + JSON.stringify(error.problems)).not.toMatch(/hunter/)
  })

  it('cannot write to the terminal', async () => {
    const error = await refusal('"\\e[31mred": 1\n"\u202eright": 2\n')
    expect(error.render()).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
  })
})

describe('what leads nowhere', () => {
  it.each([
    [
      'a destination of a rule',
      'to: crm',
      'to: [crm, serch]',
      'serch › rules[1].allow.to[1]: there is no destination of this name; did you mean `search`?',
    ],
    [
      'a destination of a denial',
      'deny: { methods: [DELETE] }',
      'deny: { to: nowhere }',
      'nowhere › rules[0].deny.to: there is no destination of this name; expected one of `crm`, `search`',
    ],
    [
      'a credential of a rule',
      'use: crm-token',
      'use: crm-tokn',
      'crm-tokn › rules[1].use: there is no credential of this name; did you mean `crm-token`?',
    ],
    [
      'a destination of a credential',
      'for: [crm]',
      'for: [crm, cmr]',
      'cmr › credentials.crm-token.for[1]: there is no destination of this name; did you mean `crm`?',
    ],
    [
      'an environment variable',
      'env:CRM_SECRET',
      'env:OTHER',
      '"${env:OTHER}" › credentials.crm-token.client.secret: the environment variable OTHER is not set',
    ],
    [
      'an environment variable that every object has',
      'env:CRM_SECRET',
      'env:constructor',
      '"${env:constructor}" › credentials.crm-token.client.secret: the environment variable constructor is not set',
    ],
    [
      'a file',
      'env:CRM_SECRET',
      'file:secrets/crm',
      expect.stringMatching(
        /^"\$\{file:secrets\/crm\}" › credentials\.crm-token\.client\.secret: \/.*\/secrets\/crm does not exist$/,
      ),
    ],
    [
      'a folder for a file',
      'env:CRM_SECRET',
      'file:/',
      '"${file:/}" › credentials.crm-token.client.secret: / is not a file',
    ],
    [
      'an authority',
      'hosts: [api.crm.example]',
      'hosts: [api.crm.example], ca: [ca.pem]',
      expect.stringMatching(/^ca\.pem › destinations\.crm\.ca\[0\]: \/.*\/ca\.pem does not exist$/),
    ],
  ])('%s', async (_what, from, to, problem) => {
    expect(await wrong(from, to)).toEqual([problem])
  })

  it('an environment variable that is empty', async () => {
    expect(await problems(good, { environment: { CRM_SECRET: '' } })).toEqual([
      '"${env:CRM_SECRET}" › credentials.crm-token.client.secret: the environment variable CRM_SECRET is empty',
    ])
  })

  it.each([
    ['a private key', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n', 'holds no certificate in PEM'],
    [
      'nonsense in the right frame',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
      'holds a certificate that cannot be parsed',
    ],
  ])('an authority that is %s', async (_what, pem, message) => {
    const text = changed('hosts: [api.crm.example]', 'hosts: [api.crm.example], ca: [ca.pem]')
    expect(await problems(text, { environment, files: { 'ca.pem': pem } })).toEqual([expect.stringContaining(message)])
  })
})

describe('what does not fit together', () => {
  it.each([
    [
      'a credential for elsewhere',
      'to: crm',
      'to: [crm, search]',
      'search › rules[1].allow.to[1]: the rule uses `crm-token`, which is not for `search`; expected `search` in `for` of the credential, or another rule',
    ],
    [
      'a credential and an opaque place',
      'hosts: [api.crm.example]',
      'hosts: [api.crm.example], protocol: opaque, ports: [5432]',
      'crm › rules[1].allow.to: the rule uses `crm-token`, but nothing can be put into `crm`, which is opaque',
    ],
    [
      'a credential in clear',
      'hosts: [api.crm.example]',
      'hosts: [api.crm.example], protocol: http',
      'crm › rules[1].allow.to: the rule uses `crm-token`, which would go to `crm` in clear; http is for hosts on loopback only',
    ],
    [
      'two names for a place',
      'hosts: ["*.search.example"]',
      'hosts: ["*.search.example", API.crm.example.]',
      'API.crm.example. › destinations.search.hosts[1]: `crm` has this host with the same port',
    ],
    [
      'two listeners of a name',
      'name: mesh',
      'name: agents',
      'agents › listen[1].name: another listener has this name',
    ],
    [
      'two listeners at a port',
      '0.0.0.0:15002',
      '127.0.0.1:15001',
      '127.0.0.1:15001 › listen[1].address: another listener has this address',
    ],
    [
      'two rules of a name',
      'name: nobody-deletes',
      'name: researcher-reads-contacts',
      'researcher-reads-contacts › rules[1].name: rule 1 has the name researcher-reads-contacts already',
    ],
    [
      'an agent here of elsewhere',
      'agent: spiffe://acme.example/local',
      'agent: spiffe://other.example/local',
      'spiffe://other.example/local › listen[0].agent: an agent on this machine is of our own trust domain; expected spiffe://acme.example/…',
    ],
    [
      'verified callers without bundles',
      'identity: { source: embedded }\n',
      '',
      'https-proxy › listen[1].accept: callers are verified against the bundles of `identity`, which is missing',
    ],
    [
      'tokens of pods without keys',
      'callers: [x509-svid]',
      'callers: [kubernetes-token]',
      'kubernetes-token › listen[1].callers[0]: service-account tokens are verified with the keys of `kubernetes`, which is missing',
    ],
    [
      'where to put it, but not what',
      'use: crm-token\n    ',
      '',
      expect.stringMatching(/^bearer › rules\[1\]\.inject: says where to put a credential/),
    ],
    [
      'a rule that allows and denies',
      'deny: { methods: [DELETE] }',
      'deny: {}\n    allow: {}',
      expect.stringMatching(/^\{ › rules\[0\]\.deny: .*`allow` or `deny`, not both/),
    ],
  ])('%s', async (_what, from, to, problem) => {
    expect(await wrong(from, to)).toEqual([problem])
  })

  it('programs and containers here that are of elsewhere', async () => {
    const text = `version: 1
trustDomain: acme.example
listen:
  - name: local
    address: 127.0.0.1:15001
    accept: http-proxy
    callers: [kernel]
    executables: { /bin/agent: spiffe://other.example/a }
    containers: { 0123456789ab: spiffe://other.example/b }
`
    expect(await problems(text, {})).toEqual([
      'spiffe://other.example/a › listen[0].executables."/bin/agent": an agent on this machine is of our own trust domain; expected spiffe://acme.example/…',
      'spiffe://other.example/b › listen[0].containers.0123456789ab: an agent on this machine is of our own trust domain; expected spiffe://acme.example/…',
    ])
  })

  it('a host that must prove to be of a trust domain whose bundle nobody names', async () => {
    const text = (federation: string) => `version: 1
trustDomain: acme.example
identity: { source: embedded }
${federation}destinations:
  own: { hosts: [own.example], spiffeId: spiffe://acme.example/a }
  other: { hosts: [other.example], spiffeId: spiffe://other.example/a }
`
    expect(await problems(text(''), {})).toEqual([
      'spiffe://other.example/a › destinations.other.spiffeId: there is no bundle of this trust domain to verify the host by; expected its trust domain in `federation`',
    ])
    const named = await load(text('federation: { other.example: { source: file, path: other.pem } }\n'))
    expect(Object.keys(named.destinations)).toEqual(['own', 'other'])
  })

  it('destinations that ask for an identity that the proxy does not have', async () => {
    const text = `version: 1
trustDomain: acme.example
destinations:
  one: { hosts: [one.example], clientCertificate: svid }
  two: { hosts: [two.example], spiffeId: spiffe://other.example/two }
  three: { hosts: [three.example], clientCertificate: { certificate: three.pem, key: "\${env:THREE_KEY}" } }
`
    expect(await problems(text, { environment: { THREE_KEY: 'a key' } })).toEqual([
      'svid › destinations.one.clientCertificate: the proxy proves who it is with its `identity`, which is missing',
      'spiffe://other.example/two › destinations.two.spiffeId: the host is verified against the bundles of `identity`, which is missing',
    ])
  })

  it('tokens of workloads, and no identity to verify them by', async () => {
    const text = good
      .replace('identity: { source: embedded }\n', '')
      .replace(/ {2}- \{ name: mesh.*\n/, '')
      .replace('callers: [kernel]', 'callers: [kernel, jwt-svid]')
    expect(await problems(text, { environment })).toEqual([
      'jwt-svid › listen[0].callers[1]: callers are verified against the bundles of `identity`, which is missing',
    ])
  })

  it('an identity that is not there to prove who the proxy is', async () => {
    const text = good
      .replace('identity: { source: embedded }\n', '')
      .replace(/ {2}- \{ name: mesh.*\n/, '')
      .replace(/client: .*/, 'client: { auth: jwt-spiffe }')
    expect(await problems(text)).toEqual([
      'jwt-spiffe › credentials.crm-token.client.auth: the proxy proves who it is with its `identity`, which is missing',
    ])
  })

  it('two stand-ins for one variable of the command', async () => {
    const rule = (name: string, placeholder: string) =>
      `  - { name: ${name}, allow: { agents: [spiffe://acme.example/a], to: crm }, use: crm-token, inject: { placeholder: ${placeholder} } }\n`
    const text = good.replace(
      'records:',
      `${rule('one', '{ env: CRM_KEY }')}${rule('same', '{ env: [CRM_KEY, OTHER] }')}${rule('two', '{ env: CRM_KEY, in: { header: x-key } }')}records:`,
    )
    expect(await problems(text, { environment })).toEqual([
      expect.stringMatching(
        /^CRM_KEY › rules\[4\]\.inject\.placeholder\.env: an earlier rule puts another stand-in into CRM_KEY$/,
      ),
    ])
  })
})

describe('everything at once', () => {
  it('is told in the order of the file, whatever else is wrong', async () => {
    const text = good
      .replace('version: 1', 'version: 3')
      .replace('accept: https-proxy', 'accept: https')
      .replace('hosts: [api.crm.example]', 'hosts: ["*"]')
      .replace('kind: oauth2-client-credentials', 'kind: none')
      .replace('to: crm', 'to: search')
      .replace('chain.depth', 'chain.length')
      .replace('name: researcher-reads-contacts', 'name: nobody-deletes')
    const error = await refusal(text, { environment })
    const lines = error.problems.map(({ line, path }) => `${line} ${path}`)
    expect(lines).toEqual([
      '1 version',
      '6 listen[1].accept',
      '9 destinations.crm.hosts[0]',
      '13 credentials.crm-token.kind',
      '21 rules[1].name',
      '24 rules[1].allow.to',
      '27 rules[1].when',
    ])
  })

  it('is counted, shown with its line and marked', async () => {
    const error = await refusal('version: 1\ntrustDomain: acme.example\nlisten: [{ nam: x }]\n')
    expect(error.problems.length).toBe(4)
    expect(error.render()).toContain(' 3 | listen: [{ nam: • }]\n   |            ^^^\n')
    expect(error.render()).toMatch(/4 problems\n$/)
  })

  it('is bounded', async () => {
    const error = await refusal(
      `version: 1\ntrustDomain: a\n${Array.from({ length: 300 }, (_, n) => `k${n}: 1`).join('\n')}\n`,
    )
    expect(error.problems.length).toBe(100)
  })
})

describe('a good file', () => {
  it('becomes a configuration: defaults filled in, units converted, paths absolute', async () => {
    const folder = folderWith({ 'conf/postern.yaml': good })
    const config = await loadConfig(join(folder, 'conf', 'postern.yaml'), environment)
    expect(config).toMatchObject({
      trustDomain: 'acme.example',
      listen: [{ name: 'agents', address: { kind: 'tcp', host: '127.0.0.1', port: 15001 } }, { name: 'mesh' }],
      admin: { socket: join(folder, 'conf/run/admin.sock') },
      records: { to: join(folder, 'conf/records.jsonl') },
      rules: [{ name: 'nobody-deletes' }, { name: 'researcher-reads-contacts', inject: 'bearer' }],
      credentials: { 'crm-token': { client: { secret: { from: 'env', name: 'CRM_SECRET' } } } },
      exec: {},
      resolve: {},
    })
    expect(config.destinations.crm).toEqual({
      name: 'crm',
      hosts: ['api.crm.example'],
      protocol: 'https',
      ports: [443],
      addresses: [],
      ca: [],
      echo: 'redact',
      timeouts: { connect: 10_000, headers: 60_000, idle: 300_000 },
    })
  })

  it('needs no more than a version and a trust domain', async () => {
    const config = await load('version: 1\ntrustDomain: a.example\n')
    expect(config).toMatchObject({
      listen: [],
      destinations: {},
      credentials: {},
      rules: [],
      records: { to: 'stdout' },
    })
  })

  it('keeps the values of secrets out of itself', async () => {
    const config = await load(good, { environment })
    expect(JSON.stringify(config)).not.toContain(environment.CRM_SECRET)
  })

  it('takes a word for what it says where a path could stand as well', async () => {
    const config = await load(changed('to: ./records.jsonl', 'to: stdout'), { environment })
    expect(config.records.to).toBe('stdout')
  })

  it('reads the certificates of authorities, and leaves other things in the file alone', async () => {
    const { pem } = makeAuthority()
    const key = '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n'
    const text = changed('hosts: [api.crm.example]', 'hosts: [api.crm.example], ca: [tls/ca.pem]')
    const config = await load(text, { environment, files: { 'tls/ca.pem': `${key}${pem}` } })
    expect(config.destinations.crm?.ca).toEqual([pem])
  })

  it('resolves the files of secrets against its folder', async () => {
    const text = changed('env:CRM_SECRET', 'file:secrets/crm')
    const config = await load(text, { files: { 'secrets/crm': 'hunter2' } })
    expect(config.credentials['crm-token']).toMatchObject({
      client: { secret: { from: 'file', path: expect.stringMatching(/^\/.*\/secrets\/crm$/) } },
    })
  })

  it('may use aliases', async () => {
    const text = changed('scopes: [contacts.read]', 'scopes: &s [contacts.read]\n    audience: *s')
    expect((await load(text, { environment })).credentials['crm-token']).toMatchObject({ audience: ['contacts.read'] })
  })
})
