// What is taken for a secret and what is not; the second matters as much, since a doctor who cries wolf is not heard.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { entropy, secretInVariable, secretsIn } from '../../../cli/doctor/secret-finder.ts'
import { shapeNames, shapeOf } from '../../../proxy/inject/shapes.ts'
import { standInFor } from '../../../proxy/inject/stand-in.ts'

/** Drawn evenly, as keys are. */
const alphabet = (characters: string) => (length: number) =>
  fc
    .noBias(fc.array(fc.nat(characters.length - 1), { minLength: length, maxLength: length, size: 'max' }))
    .map((list) => list.map((at) => characters[at]).join(''))
    .filter((text) => new Set(text).size >= 9 && !/1234567|abcdefg|xxxx|example/i.test(text))
const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const word = alphabet(`${letters}0123456789`)
const capitals = alphabet('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')
const hex = alphabet('0123456789abcdef')

/** Around what is looked for: as it stands in files. */
const surroundings = fc.constantFrom<readonly [string, string]>(
  ['', ''],
  ['key: ', '\n'],
  ['export THE_KEY="', '"\n'],
  ['{"key":"', '","other":1}'],
  ['curl -H "Authorization: Bearer ', '" https://api.example/'],
)

describe('a secret is found by its prefix', () => {
  const jwt = `${Buffer.from('{"alg":"ES256"}').toString('base64url')}.${Buffer.from('{"sub":"somebody"}').toString('base64url')}.`
  const kinds: readonly (readonly [kind: string, secret: fc.Arbitrary<string>])[] = [
    ['key of OpenAI or Anthropic', word(48).map((text) => `sk-${text}`)],
    ['key of OpenAI or Anthropic', word(40).map((text) => `sk-ant-api03-${text}`)],
    ['GitHub token', word(36).map((text) => `ghp_${text}`)],
    ['GitHub token', word(36).map((text) => `ghs_${text}`)],
    ['GitLab token', word(20).map((text) => `glpat-${text}`)],
    ['AWS access key', capitals(16).map((text) => `AKIA${text}`)],
    ['AWS access key', capitals(16).map((text) => `ASIA${text}`)],
    ['Google API key', word(35).map((text) => `AIza${text}`)],
    ['Slack token', word(24).map((text) => `xoxb-${text}`)],
    ['Stripe key', word(24).map((text) => `sk_live_${text}`)],
    ['Hugging Face token', word(34).map((text) => `hf_${text}`)],
    ['npm token', word(36).map((text) => `npm_${text}`)],
    ['Vault token', word(24).map((text) => `hvs.${text}`)],
    ['JWT', word(43).map((text) => jwt + text)],
  ]
  it.each(kinds)('%s', (kind, secrets) => {
    fc.assert(
      fc.property(secrets, surroundings, fc.nat(5), (secret, [before, after], lines) => {
        const text = `${'a line\n'.repeat(lines)}${before}${secret}${after}`
        expect(secretsIn(text)).toContainEqual({ kind, line: lines + 1 })
        expect(secretInVariable('WHATEVER', secret)).toBe(kind)
      }),
      { seed: 7, numRuns: 60 },
    )
  })

  it('private keys, with real line ends and written ones', () => {
    const body = randomBytes(48).toString('base64')
    for (const label of ['PRIVATE KEY', 'RSA PRIVATE KEY', 'OPENSSH PRIVATE KEY', 'ENCRYPTED PRIVATE KEY']) {
      const pem = `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`
      expect(secretsIn(`# ours\n${pem}`)).toEqual([{ kind: 'private key', line: 2 }])
      expect(secretInVariable('TLS', pem.replaceAll('\n', '\\n'))).toBe('private key')
    }
  })

  it('passwords in URLs, whatever the scheme', () => {
    for (const url of [
      'postgres://app:hunter22@db.internal/app',
      'https://ada:s3cretpass@git.internal/a.git',
      'redis://:hunter22@cache',
    ])
      expect(secretInVariable('DATABASE', url), url).toBe('password in a URL')
  })
})

describe('a secret without a prefix', () => {
  it('is found in a variable by how random it is, in each writing of base64', () => {
    const bytes = fc
      .noBias(fc.uint8Array({ minLength: 30, maxLength: 60, size: 'max' }))
      .filter((array) => new Set(array).size > 24)
    fc.assert(
      fc.property(bytes, fc.constantFrom<BufferEncoding>('base64', 'base64url'), (array, writing) => {
        const text = Buffer.from(array).toString(writing)
        // Paths are written so too.
        fc.pre((text.match(/\//g) ?? []).length <= 1)
        expect(secretInVariable('WHATEVER', text)).toBe('random text')
      }),
      { seed: 7, numRuns: 200 },
    )
  })

  it('is found by the name of its variable, even if nobody would call it random', () => {
    for (const name of ['DB_PASSWORD', 'API_KEY', 'npm_config_token', 'CLIENT_SECRET', 'AWS_SECRET_ACCESS_KEY'])
      expect(secretInVariable(name, 'correct-horse'), name).toBe('value named like a credential')
  })

  it('is found in a file by the name before it', () => {
    const kind = 'value named like a credential'
    fc.assert(
      fc.property(hex(40), (secret) => {
        for (const text of [
          `apiKey: ${secret}`,
          `"token": "${secret}",`,
          `client_secret=${secret}`,
          `//registry.example/:_authToken=${secret}`,
        ])
          expect(secretsIn(text), text).toEqual([{ kind, line: 1 }])
      }),
      { seed: 7, numRuns: 60 },
    )
    expect(
      secretsIn(`{"auths":{"r.example":{"auth":"${Buffer.from('ada:s3cretPass').toString('base64')}"}}}`),
    ).toHaveLength(1)
  })

  it('is told without what it is', () => {
    fc.assert(
      fc.property(word(36), (text) => {
        const said = JSON.stringify([secretsIn(`a: ghp_${text}`), secretInVariable('A', `ghp_${text}`)])
        for (let at = 0; at + 6 <= text.length; at++) expect(said).not.toContain(text.slice(at, at + 6))
      }),
      { seed: 7, numRuns: 50 },
    )
  })
})

describe('no secret is', () => {
  const notRed = (name: string, value: string): void => {
    expect([name, value, secretInVariable(name, value)]).toEqual([name, value, undefined])
  }

  it('a UUID, whatever the variable is called', () => {
    fc.assert(fc.property(fc.uuid(), fc.constantFrom('ID', 'SESSION', 'API_TOKEN'), (id, name) => notRed(name, id)))
  })

  it('a hash: of git, of an image, of an integrity check', () => {
    fc.assert(
      fc.property(hex(40), hex(64), (commit, digest) => {
        notRed('GIT_COMMIT', commit)
        notRed('GPG_KEY', commit.toUpperCase())
        notRed('IMAGE', `registry.example/app@sha256:${digest}`)
        expect(secretsIn(`commit ${commit}\nsha256:${digest}\nresolved "https://x.example/#${commit}"`)).toEqual([])
        expect(secretsIn(`"integrity": "sha512-${Buffer.from(digest + digest, 'hex').toString('base64')}"`)).toEqual([])
      }),
    )
  })

  it('a path, or a list of paths', () => {
    const name = fc.constantFrom(
      'usr',
      'local',
      'Users',
      'node_modules',
      'python3.11',
      'Library',
      'bin',
      'v18.2.0',
      'MyApp2024',
    )
    const path = fc.array(name, { minLength: 2, maxLength: 9 }).map((parts) => `/${parts.join('/')}`)
    fc.assert(
      fc.property(fc.array(path, { minLength: 1, maxLength: 4 }), (paths) => {
        notRed('PATH', paths.join(':'))
        notRed('API_KEY', paths[0] ?? '')
      }),
    )
  })

  it('an image or a font in base64', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 300, maxLength: 900 }), (bytes) => {
        const data = Buffer.from(bytes).toString('base64')
        notRed('LOGO', `data:image/png;base64,${data}`)
        notRed('FONT', data)
        expect(secretsIn(`<img src="data:image/png;base64,${data}">`)).toEqual([])
      }),
      { seed: 7 },
    )
  })

  it('a certificate', () => {
    const body = randomBytes(900).toString('base64')
    expect(secretsIn(`-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`)).toEqual([])
    expect(secretsIn(`-----BEGIN PUBLIC KEY-----\n${body}\n-----END PUBLIC KEY-----\n`)).toEqual([])
  })

  it('a stand-in of ours, in any shape', () => {
    const key = randomBytes(32)
    for (const shape of shapeNames) {
      const standIn = standInFor(key, 'a-key', 'api', { header: 'authorization' }, shapeOf(shape))
      notRed('OPENAI_API_KEY', standIn)
      expect(secretsIn(`token: ${standIn}`)).toEqual([])
      expect(secretsIn(`Authorization: Basic ${Buffer.from(`ada:${standIn}`).toString('base64')}`)).toEqual([])
    }
  })

  it('what is signed in the form of a JWT and claims nothing, such as a checkpoint', () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const signed = `${part({ alg: 'ES256', typ: 'postern-checkpoint+jws' })}.${part({ seq: 10, head: 'x', count: 10 })}.`
    expect(secretsIn(`{"jws":"${signed}${randomBytes(64).toString('base64url')}"}`)).toEqual([])
  })

  it('the way to our own proxy', () => {
    const token = randomBytes(32).toString('base64url')
    for (const name of ['http_proxy', 'HTTPS_PROXY', 'npm_config_proxy']) {
      notRed(name, `http://run:${token}@127.0.0.1:15001`)
      notRed(name, `http://delegation:${token}@127.0.0.1:15001`)
    }
    expect(secretInVariable('HTTPS_PROXY', 'http://ada:hunter22@proxy.corp.internal:3128')).toBe('password in a URL')
  })

  it('what documents show', () => {
    for (const text of [
      'AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE',
      'OPENAI_API_KEY=sk-xxxxxxxxxxxxxxxxxxxxxxxx',
      'https://user:password@host.internal/',
      'https://abc:xyz12@example.com/',
      'token: ${TOKEN}',
      'password: <your password>',
      'apiKey: process.env.API_KEY_OF_2024',
      'privateKey = loadPrivateKeyFromFile2(path)',
      'config.PrivateKey = testRSA2048PrivateKey',
    ])
      expect(secretsIn(text), text).toEqual([])
  })

  it('anything of an ordinary environment', () => {
    const ordinary: Readonly<Record<string, string>> = {
      HOME: '/home/ada',
      LANG: 'en_GB.UTF-8',
      LS_COLORS: 'rs=0:di=01;34:ln=01;36:mh=00:pi=40;33:so=01;35:do=01;35:bd=40;33;01',
      DBUS_SESSION_BUS_ADDRESS: 'unix:path=/run/user/1000/bus',
      SSH_AUTH_SOCK: '/tmp/ssh-XXXXXXm5Q8wP/agent.4711',
      HOSTNAME: 'researcher-7d9f8b6c5d-x2x9z',
      KUBERNETES_PORT: 'tcp://10.96.0.1:443',
      KUBERNETES_PORT_443_TCP_ADDR: '10.96.0.1',
      PYTHON_SHA256: '2c8cb15c6a2caadaa98af51df6fe78a8155b8471cb3dd7b9836038e0d3657fb4',
      GPG_KEY: 'E3FF2839C048B25C084DEBE9B26995E310250568',
      PYTHON_GET_PIP_URL:
        'https://github.com/pypa/get-pip/raw/def4aec84b261b939137dd1c69eff0aabb4a7bf4/public/get-pip.py',
      JAVA_TOOL_OPTIONS:
        '-Djavax.net.ssl.trustStore=/run/postern-trust/trust/truststore.p12 -Djavax.net.ssl.trustStorePassword=changeit',
      INVOCATION_ID: 'b0c1e3f4a5d6478895a1c2b3d4e5f607',
      JOURNAL_STREAM: '8:1734091',
      TERM_SESSION_ID: 'w0t0p0:7C1B4F9E-2C9A-4E0B-9B5C-0C9A3B1D2E4F',
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/ResearcherProductionEuWest1',
      AWS_WEB_IDENTITY_TOKEN_FILE: '/var/run/secrets/eks.amazonaws.com/serviceaccount/token',
      NODE_OPTIONS: '--max-old-space-size=4096 --enable-source-maps',
      BUILD: '2026-11-24T11:18:19.000Z-release-candidate-17',
      CLUSTER: 'ResearchPlatformProductionEuropeWest1Blue',
      ULID: '01ARZ3NDEKTSV4RRFFQ69G5FAV',
      TOKEN_COUNT: '4096',
      USE_API_KEY: 'true',
      PASSWORD_STORE_DIR: '/home/ada/.password-store',
    }
    for (const [name, value] of Object.entries(ordinary)) notRed(name, value)
  })

  it('anything in files of this project that hold none', () => {
    for (const file of [
      'package-lock.json',
      'README.md',
      'docs/configuration.md',
      'docs/kubernetes.md',
      'cli/wire.ts',
      'certs/pem.ts',
    ])
      expect([file, secretsIn(readFileSync(new URL(`../../../${file}`, import.meta.url), 'latin1'))]).toEqual([
        file,
        [],
      ])
  })
})

describe('whatever it is given', () => {
  it('it ends, and soon', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
        fc.string({ maxLength: 40 }),
        (text, name) => {
          secretsIn(text)
          secretInVariable(name, text)
        },
      ),
    )
    const began = performance.now()
    for (const unit of ['a', 'sk-', 'token', 'token=', '://a:', '-----BEGIN ', 'eyJ.', 'password:password:', 'a:\\n'])
      secretsIn(unit.repeat(262_144 / unit.length))
    expect(performance.now() - began).toBeLessThan(5_000)
  })

  it('entropy is that of Shannon', () => {
    expect(entropy('aaaa')).toBe(0)
    expect(entropy('abcd')).toBe(2)
    expect(entropy('')).toBe(0)
  })
})
