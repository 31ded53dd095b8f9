// The defences, each taken out by a change of a few words. Whoever holds a hole shut must notice.

export interface Patch {
  /** From the root of the sources. */
  readonly file: string
  /** Stands there once. */
  readonly text: string
  readonly instead: string
}

export interface Mutation {
  /** Of the hole that it opens. */
  readonly hole: number
  readonly what: string
  readonly patches: readonly [Patch, ...Patch[]]
}

const patch = (file: string, text: string, instead: string): Patch => ({ file, text, instead })

export const mutations: readonly Mutation[] = [
  {
    hole: 1,
    what: 'the delegation that was presented first serves all requests',
    patches: [
      patch(
        'proxy/identify/delegation/presented.ts',
        'const field = inFields(headers)',
        'const field = (Reflect.get(globalThis, "first") ?? (Reflect.set(globalThis, "first", inFields(headers)), inFields(headers)))',
      ),
    ],
  },
  {
    hole: 2,
    what: 'a claim may be empty',
    patches: [
      patch(
        'policy/delegation/token.ts',
        'return isText(value) ? value : malformed(`${name} is empty',
        "return typeof value === 'string' ? value : malformed(`${name} is empty",
      ),
    ],
  },
  {
    hole: 3,
    what: 'a certificate may be demanded where there is no TLS',
    patches: [
      patch(
        'proxy/capture/settings.ts',
        "if (accept === 'http-proxy' && callers.includes('x509-svid')) {",
        'if (callers.length > 99) {',
      ),
    ],
  },
  {
    hole: 4,
    what: 'the name told to TLS is not compared',
    patches: [patch('proxy/capture/connect.ts', 'if (named !== host) throw', 'if (named.length === 0) throw')],
  },
  {
    hole: 5,
    what: 'nothing is looked into',
    patches: [
      patch('proxy/capture/connect.ts', "if (admitted.reach === 'opaque') {", "if (admitted.reach !== 'none') {"),
    ],
  },
  {
    hole: 5,
    what: 'an upstream need not be trusted',
    patches: [
      patch(
        'proxy/forward/connector.ts',
        'rejectUnauthorized: this.#checkPeer === undefined',
        'rejectUnauthorized: false',
      ),
    ],
  },
  {
    hole: 6,
    what: 'a request goes on without a credential that could not be had',
    patches: [
      patch(
        'proxy/obtain/obtain.ts',
        '? lease.then((fresh) => credentialed(authorized, fresh))',
        '? lease.then((fresh) => credentialed(authorized, fresh), () => ({ ...authorized, lease: undefined }))',
      ),
      patch(
        'proxy/inject/credential-placement.ts',
        'const lease = leaseFor(exchange, this.#bindings)',
        'if (exchange.lease === undefined) return finish(exchange, this.#stripper.strip(exchange, false), [])\n    const lease = leaseFor(exchange, this.#bindings)',
      ),
    ],
  },
  {
    hole: 7,
    what: 'a connection that nothing had redirected is served all the same',
    patches: [
      patch(
        'proxy/capture/redirected.ts',
        'const original = destinationOf(connection, attempt.isOwn)',
        "const original = { address: '127.0.0.1', port: 80, names: [] }",
      ),
    ],
  },
  {
    hole: 8,
    what: 'a deny that cannot be evaluated does not match',
    patches: [
      patch('policy/compiled-rule.ts', "(outcome === 'unreadable' && effect === 'allow')", "outcome === 'unreadable'"),
    ],
  },
  {
    hole: 9,
    what: 'a tunnel is opened to hosts that are not named',
    patches: [
      patch(
        'policy/rule-engine.ts',
        "if (places.length === 0) return 'none'",
        "if (places.length === 0) return 'inspect'",
      ),
    ],
  },
  {
    hole: 10,
    what: 'an allow counts for more than a deny',
    patches: [
      patch(
        'policy/rule-engine.ts',
        'const granted = denier === undefined ? firstAllow(found, view) : undefined',
        'const granted = firstAllow(found, view)',
      ),
      patch(
        'policy/rule-engine.ts',
        "if (denier !== undefined) return deny('denied_by_rule'",
        "if (denier !== undefined && granted === undefined) return deny('denied_by_rule'",
      ),
    ],
  },
  {
    hole: 11,
    what: 'a credential may be configured for a place in clear',
    patches: [
      patch(
        'proxy/config/agreement.ts',
        "if (place?.protocol === 'http' && !place.hosts.every(isLoopback)) {",
        'if (place === null) {',
      ),
    ],
  },
  {
    hole: 12,
    what: 'a stand-in is not looked for where it does not belong',
    patches: [patch('proxy/inject/credential-placement.ts', '    refuseStandIns(exchange)\n', '')],
  },
  {
    hole: 12,
    what: 'a credential need not be for where its rule sends it',
    patches: [patch('proxy/config/agreement.ts', 'if (!bound.includes(name)) {', 'if (bound.length > 99) {')],
  },
  {
    hole: 13,
    what: 'TRACE carries a credential',
    patches: [
      patch('proxy/inject/guard.ts', "if (method === 'TRACE' || method === 'CONNECT')", "if (method === 'CONNECT')"),
    ],
  },
  {
    hole: 13,
    what: 'the answer is not looked through',
    patches: [
      patch('proxy/pipeline.ts', 'return meter(redact(answer, injected), injected)', 'return meter(answer, injected)'),
    ],
  },
  {
    hole: 14,
    what: 'ways round the proxy are handed on to the command',
    patches: [
      patch(
        'cli/exec/environment.ts',
        'const proxyVariables = new Set([...ways, ...exceptions])',
        'const proxyVariables = new Set<string>()',
      ),
    ],
  },
  {
    hole: 15,
    what: 'a destination takes any scheme',
    patches: [
      patch(
        'policy/hosts.ts',
        "(method === 'CONNECT' ? protocol === 'opaque' : protocol === scheme)",
        "(method === 'CONNECT' ? protocol === 'opaque' : protocol !== 'opaque' && scheme !== undefined)",
      ),
    ],
  },
  {
    hole: 16,
    what: 'loopback counts as public',
    patches: [patch('proxy/forward/address.ts', "  ['127.0.0.0/8', 'loopback'],\n", '')],
  },
  {
    hole: 17,
    what: 'our authority takes the place of all others',
    patches: [
      patch(
        'certs/trust-files.ts',
        'const roots = [ours.der, ...(await systemRoots(inherited))]',
        'const roots = [ours.der]',
      ),
    ],
  },
  {
    hole: 18,
    what: 'everybody may write where the agent reads whom to trust',
    patches: [patch('cli/wire/trust.ts', '.map((each) => chmod(each, 0o755))', '.map((each) => chmod(each, 0o777))')],
  },
  {
    hole: 19,
    what: 'dot segments pass',
    patches: [
      patch('proxy/capture/target.ts', "  if (dotSegment.test(canonical)) throw ambiguous('a dot segment')\n", ''),
    ],
  },
  {
    hole: 20,
    what: 'the session token that the client signed with passes',
    patches: [patch('proxy/inject/field-classes.ts', "    'X-Amz-Security-Token',\n", '')],
  },
  {
    hole: 21,
    what: 'what is under way is not cut',
    patches: [
      patch(
        'proxy/open-exchanges.ts',
        'if (reply.cut(Refusal.from(error))) cut += 1',
        'if (reply === undefined) throw error',
      ),
    ],
  },
  {
    hole: 22,
    what: 'an upgrade is confirmed before the upstream was called',
    patches: [
      patch(
        'proxy/forward/dispatcher.ts',
        'this.#send(exchange, signal, { resolve: upgraded, reject })',
        "this.#send(exchange, signal, { resolve: upgraded, reject })\n        resolve({ status: 101, statusText: '', headers: [], body: emptyBody, tunnel: undefined, address: undefined, findings: [] })",
      ),
    ],
  },
  {
    hole: 23,
    what: 'others may read the records',
    patches: [patch('proxy/record/file-target.ts', 'openFile(path, flags, 0o600)', 'openFile(path, flags, 0o666)')],
  },
  {
    hole: 24,
    what: 'a document tells of a reason that there is not',
    patches: [patch('docs/reasons.md', '| `no_rule` |', '| `no_rules` |')],
  },
  {
    hole: 25,
    what: 'what is larger than a megabyte leaves as the agent sent it',
    patches: [
      patch(
        'proxy/forward/dispatcher.ts',
        'headers: outgoing.headers as string[],',
        'headers: (outgoing.headers.some((field, at) => at % 2 === 1 && outgoing.headers[at - 1]?.toLowerCase() === "content-length" && Number(field) > 1_048_576) ? outgoing.headers.slice(0, 2) : outgoing.headers) as string[],',
      ),
    ],
  },
  {
    hole: 26,
    what: 'it starts with an inspector, or what else shows its memory',
    patches: [patch('cli/protect.ts', 'if (ways.length > 0) throw', 'if (ways.length > 99) throw')],
  },
  {
    hole: 26,
    what: 'SIGUSR1 opens the inspector',
    patches: [
      patch('cli/postern.js', "process.on('SIGUSR1', () => {})\n", ''),
      patch('cli/protect.ts', "  process.on('SIGUSR1', () => undefined)\n", ''),
    ],
  },
  {
    hole: 26,
    what: 'others of the same user read its memory',
    patches: [
      patch(
        'cli/protect.ts',
        'if (nativeCalls()?.becomeUndumpable() !== true)',
        'if (nativeCalls()?.becomeUndumpable === undefined)',
      ),
    ],
  },
  {
    hole: 26,
    what: 'the kernel goes on showing the variables that it was started with',
    patches: [patch('cli/protect.ts', '    nativeCalls()?.blankVariable(name)\n', '')],
  },
  {
    hole: 26,
    what: 'the launcher leaves the permission model off',
    patches: [patch('cli/postern.js', "  '--permission',\n", '')],
  },
  {
    hole: 26,
    what: 'no right is given up',
    patches: [patch('cli/permissions.ts', 'if (!needed.has(right)) permission.drop(right)', 'needed.has(right)')],
  },
  {
    hole: 26,
    what: 'a configuration that needs what was given up is taken',
    patches: [patch('cli/run.ts', '        expectNoMoreRights(next)\n', '')],
  },
  {
    hole: 26,
    what: 'it starts with fewer rights than it needs',
    patches: [patch('cli/run.ts', '    expectRights(first)\n', '')],
  },
]
