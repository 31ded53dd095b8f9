// What others have got wrong, each with the tests that hold it shut here. `npm run test:mutations` opens them one by one and looks who notices.

export interface Covering {
  /** Below `test/`. */
  readonly file: string
  /** As it is written there: of a `describe` or of a test. */
  readonly name: string
}

export interface Hole {
  readonly number: number
  /** What goes wrong. */
  readonly wrong: string
  readonly tests: readonly [Covering, ...Covering[]]
}

const here = (file: string, name: string): Covering => ({ file: `hostile/holes/${file}.test.ts`, name })

export const holes: readonly Hole[] = [
  {
    number: 1,
    wrong: 'Two tasks at once are taken for one',
    tests: [{ file: 'path/delegation.test.ts', name: 'are never mixed, on connections that they share' }],
  },
  {
    number: 2,
    wrong: 'A hop that names nobody counts as one',
    tests: [here('identity', 'H2: a hop that names nobody counts as one')],
  },
  {
    number: 3,
    wrong: 'A proof that is demanded and not checked on one way of listening',
    tests: [
      here('identity', 'H3: a proof that is demanded and not checked on one way of listening'),
      { file: 'hostile/svids.test.ts', name: 'no certificate at all is svid_missing' },
    ],
  },
  {
    number: 4,
    wrong: 'The policy sees one host, and another one is called',
    tests: [
      here('identity', 'H4: the policy sees one host, and another one is called'),
      { file: 'hostile/targets.test.ts', name: 'what is said in a tunnel' },
    ],
  },
  {
    number: 5,
    wrong: 'A client that rejects our certificate is given a plain tunnel next time',
    tests: [here('fail-open', 'H5: a client that rejects our certificate is given a plain tunnel next time')],
  },
  {
    number: 6,
    wrong: 'A request leaves without its credential when that cannot be had',
    tests: [
      here('fail-open', 'H6: a request leaves without its credential when that cannot be had'),
      { file: 'path/credential-source.test.ts', name: 'a token server that is away' },
    ],
  },
  {
    number: 7,
    wrong: 'A capability that is missing switches the enforcement off',
    tests: [here('fail-open', 'H7: a capability that is missing switches the enforcement off')],
  },
  {
    number: 8,
    wrong: 'A rule looks at the first part of something long, and takes the rest for harmless',
    tests: [here('fail-open', 'H8: a rule looks at the first part of something long, and takes the rest for harmless')],
  },
  {
    number: 9,
    wrong: 'What no rule speaks of passes, or is only logged',
    tests: [here('fail-open', 'H9: what no rule speaks of passes, or is only logged')],
  },
  {
    number: 10,
    wrong: 'A grant, or an approval, overrides what is denied',
    tests: [here('fail-open', 'H10: a grant, or an approval, overrides what is denied')],
  },
  {
    number: 11,
    wrong: 'A credential is put into a request in clear',
    tests: [
      here('leaks', 'H11: a credential is put into a request in clear'),
      { file: 'proxy/inject/inject.test.ts', name: 'cleartext is refused, but to a loopback that is declared http' },
    ],
  },
  {
    number: 12,
    wrong: 'A credential is sent to another upstream than its own',
    tests: [
      here('leaks', 'H12: a credential is sent to another upstream than its own'),
      {
        file: 'hostile/forward-leaks.test.ts',
        name: 'a credential whose destination is pointed elsewhere by a reload',
      },
    ],
  },
  {
    number: 13,
    wrong: 'The answer gives the credential back',
    tests: [
      here('leaks', 'H13: the answer gives the credential back'),
      { file: 'proxy/redact/redact.test.ts', name: 'an echo, where the destination says redact' },
    ],
  },
  {
    number: 14,
    wrong: 'Some clients, or some kinds of request, go past the proxy',
    tests: [
      { file: 'cli/exec/environment.test.ts', name: 'other proxies and exceptions, in either case' },
      {
        file: 'path/websocket.test.ts',
        name: 'is opened with the credential, and with no extension, which would hide what is said',
      },
    ],
  },
  {
    number: 15,
    wrong: 'Credentials go to more hosts than rules speak of',
    tests: [
      {
        file: 'hostile/forward-leaks.test.ts',
        name: 'what gets a credential is what rules and bindings name, and nothing else',
      },
    ],
  },
  {
    number: 16,
    wrong: 'An address that no destination means is reached by a name',
    tests: [
      here('leaks', 'H16: an address that no destination means is reached by a name'),
      {
        file: 'proxy/forward/address.test.ts',
        name: 'an IPv4 address and its mapped form always get the same verdict',
      },
    ],
  },
  {
    number: 17,
    wrong: 'The key of our authority can be read, or its certificate takes the place of all others',
    tests: [
      here('leaks', 'H17: the key of our authority can be read, or its certificate takes the place of all others'),
    ],
  },
  {
    number: 18,
    wrong: 'What the agent can write is run, or believed',
    tests: [here('leaks', 'H18: what the agent can write is run, or believed')],
  },
  {
    number: 19,
    wrong: 'A target is matched in one form and forwarded in another',
    tests: [
      { file: 'hostile/heads.test.ts', name: 'a request inside a tunnel' },
      { file: 'hostile/targets.test.ts', name: 'an address in another notation' },
    ],
  },
  {
    number: 20,
    wrong: 'A request is signed for the region and service that the client chose',
    tests: [here('leaks', 'H20: a request is signed for the region and service that the client chose')],
  },
  {
    number: 21,
    wrong: 'A tunnel that is open outlives what allowed it',
    tests: [
      { file: 'path/judged-again.test.ts', name: 'ends an opaque tunnel' },
      { file: 'path/judged-again.test.ts', name: 'ends a WebSocket' },
    ],
  },
  {
    number: 22,
    wrong: 'The record says 101 before the upstream was called',
    tests: [here('trail', 'H22: the record says 101 before the upstream was called')],
  },
  {
    number: 23,
    wrong: 'The agent can change the records of what it did',
    tests: [here('trail', 'H23: the agent can change the records of what it did')],
  },
  {
    number: 24,
    wrong: 'The documents promise what the code does not do',
    tests: [
      { file: 'house/reasons.test.ts', name: 'every reason is on the page, and every reason on the page exists' },
      { file: 'house/readme.test.ts', name: 'the commands' },
    ],
  },
  {
    number: 25,
    wrong: 'A large body leaves before the credential is in place',
    tests: [here('trail', 'H25: a large body leaves before the credential is in place')],
  },
  {
    number: 26,
    wrong: 'What a proxy holds is read out of its memory, and it may do more than it needs to',
    tests: [
      { file: 'cli/openings.test.ts', name: 'does not start, be it run or exec' },
      { file: 'cli/crash.test.ts', name: 'by SIGUSR2 leaves no trace of it, nor a heap snapshot' },
      {
        file: 'cli/protect.test.ts',
        name: 'cannot be looked into by another one of its user; an unprotected one can',
      },
      { file: 'cli/protect.test.ts', name: 'says that root can look into it, and shows root no variable' },
      {
        file: 'cli/permissions.test.ts',
        name: 'is switched on by the same options in the launcher, the image and the documents',
      },
      {
        file: 'cli/permissions.test.ts',
        name: 'gives up commands and writing where nothing needs them, and takes no configuration that would',
      },
      {
        file: 'cli/permissions.test.ts',
        name: 'does not start with fewer rights than its configuration needs',
      },
    ],
  },
]
