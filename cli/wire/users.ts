// Whose users may grant: the sign-in servers of the configuration, each with its keys.

import type { UsersSettings } from '../../proxy/identify/user-token/settings.ts'
import type { UserIssuers } from '../../proxy/identify/user-token.ts'
import { type KeySurroundings, openKeys } from './keys.ts'

export interface Users {
  readonly issuers: UserIssuers
  close(): Promise<void>
}

/** @param settings `keys.ca` holds PEM by now, not paths; undefined: no user is known */
export function openUsers(settings: UsersSettings | undefined, surroundings: KeySurroundings): Users {
  const opened = (settings?.issuers ?? []).map(({ issuer, keys, ...rest }) => ({
    issuer,
    rest,
    open: openKeys(keys, surroundings),
  }))
  return {
    issuers: new Map(opened.map(({ issuer, rest, open }) => [issuer, { ...rest, keys: open.keys }])),
    close: async () => {
      await Promise.all(opened.map(({ open }) => open.close()))
    },
  }
}
