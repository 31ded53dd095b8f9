// Addresses by which clouds hand out credentials to whoever asks, in every form that a packet can carry them. Nobody but the proxy reaches them, and the proxy refuses them by itself.

/** All of link-local (AWS, Google, Azure, ECS, EKS and most others), and the two that are elsewhere: Alibaba, and Azure's host. */
export const metadataV4 = ['169.254.0.0/16', '100.100.100.200/32', '168.63.129.16/32'] as const

/** Amazon's own, Google's own, and translated forms (NAT64: RFC 6052, RFC 8215; 6to4: RFC 3056; v4-compatible and mapped: RFC 4291). */
// As iptables-save spells them, so that what is in force can be compared.
export const metadataV6 = [
  'fd00:ec2::/32',
  'fd20:ce::254/128',
  '64:ff9b::a9fe:0/112',
  '64:ff9b::6464:64c8/128',
  '64:ff9b::a83f:8110/128',
  '64:ff9b:1::/48',
  '2002:a9fe::/32',
  '2002:6464:64c8::/48',
  '2002:a83f:8110::/48',
  '::ffff:0.0.0.0/96',
  '::169.254.0.0/112',
  '::100.100.100.200/128',
  '::168.63.129.16/128',
] as const
