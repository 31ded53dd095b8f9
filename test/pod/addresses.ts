// Who is where: addresses for documentation (RFC 5737, RFC 3849) and those that clouds use, all inside namespaces of the test.
export const addresses = {
  pod: '10.99.0.2',
  pod6: 'fd99::2',
  gateway: '10.99.0.1',
  gateway6: 'fd99::1',
  api: '203.0.113.7',
  api6: '2001:db8:1::7',
  mail: '203.0.113.25',
  evil: '198.51.100.66',
  evil6: '2001:db8:2::66',
  metadata: '169.254.169.254',
  metadata6: 'fd00:ec2::254',
} as const

export const users = { proxy: 1337, agent: 1000, sidekick: 1001 } as const
