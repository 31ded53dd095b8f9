import { expect, it } from 'vitest'
import { mostRemembered, Recent } from '../../../proxy/forward/recent.ts'

it('keeps what was set last, and no more than a bound', () => {
  const recent = new Recent<number>()
  for (let number = 0; number <= mostRemembered; number++) recent.set(`host-${number}`, number)
  expect(recent.size).toBe(mostRemembered)
  expect(recent.get('host-0')).toBeUndefined()
  // Set again, it is among the newest.
  recent.set('host-1', -1)
  recent.set('another', 0)
  expect([recent.get('host-1'), recent.get('host-2')]).toEqual([-1, undefined])
  recent.delete('another')
  expect(recent.size).toBe(mostRemembered - 1)
})
