// Keeps what the authorization server remembers, in memory; the one that comes with oidc-provider warns on every start.

interface Payload {
  readonly uid?: string
  readonly grantId?: string
  consumed?: number
}

interface Stored {
  readonly payload: Payload
  readonly expiresAt: number
}

export class TokenStore {
  readonly #stored = new Map<string, Stored>()

  /** What oidc-provider calls an adapter, one for each model. */
  readonly adapter = (model: string) => ({
    upsert: async (id: string, payload: Payload, expiresIn: number | undefined) => {
      const expiresAt = expiresIn === undefined ? Number.POSITIVE_INFINITY : Date.now() + expiresIn * 1000
      this.#stored.set(`${model}:${id}`, { payload, expiresAt })
    },
    find: async (id: string) => this.#find(`${model}:${id}`),
    findByUid: async (uid: string) => {
      for (const [key, { payload }] of this.#stored)
        if (payload.uid === uid && key.startsWith(`${model}:`)) return this.#find(key)
      return undefined
    },
    findByUserCode: async () => undefined,
    consume: async (id: string) => {
      const payload = this.#find(`${model}:${id}`)
      if (payload !== undefined) payload.consumed = Math.floor(Date.now() / 1000)
    },
    destroy: async (id: string) => {
      this.#stored.delete(`${model}:${id}`)
    },
    revokeByGrantId: async (grantId: string) => {
      for (const [key, { payload }] of this.#stored) if (payload.grantId === grantId) this.#stored.delete(key)
    },
  })

  /** Whether it is an opaque token that was given and neither expired nor taken back. */
  has(token: string): boolean {
    return ['AccessToken', 'ClientCredentials', 'RefreshToken'].some(
      (model) => this.#find(`${model}:${token}`) !== undefined,
    )
  }

  #find(key: string): Payload | undefined {
    const stored = this.#stored.get(key)
    return stored === undefined || stored.expiresAt <= Date.now() ? undefined : stored.payload
  }
}
