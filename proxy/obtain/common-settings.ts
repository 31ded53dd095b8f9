// The settings that every kind of credential has.
import * as z from 'zod'
import { duration } from '../config/scalars.ts'

/** A duration that is not nothing; milliseconds. */
export const span = duration.refine((milliseconds) => milliseconds > 0, 'longer than nothing')

export const commonKeys = {
  for: z
    .array(z.string().min(1))
    .min(1, 'at least one destination; a credential that is bound to none could never be sent')
    .describe('Names of the only destinations that it can ever be sent to. Must not be empty.'),
  ttl: span
    .optional()
    .describe('How long it is kept before its source is asked again, where the source gives no expiry. Such as 5m.'),
}

/** For kinds whose answers end some time, whether they say so or not. */
export const endingKeys = {
  ...commonKeys,
  ttl: span
    .prefault('5m')
    .describe('How long it is kept before its source is asked again, where the source gives no expiry. Such as 5m.'),
}

/** For kinds that hold a password or key without the name that goes with it. */
export const usernameKey = z
  .string()
  .regex(/^[^:\u0000-\u001f\u007f]+$/, 'a user name without colon or control characters (RFC 7617 §2)')
  .optional()
  .describe('The user name that goes with it when it is injected as basic.')
