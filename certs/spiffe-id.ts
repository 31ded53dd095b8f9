// SPIFFE IDs and trust domains as values (SPIFFE-ID §2). The only place where text becomes one.

export type SpiffeId = string & { readonly __brand: 'SpiffeId' }
export type TrustDomain = string & { readonly __brand: 'TrustDomain' }
