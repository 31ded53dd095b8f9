import { expect, it } from 'vitest'
import { readableEncodings } from '../../../proxy/inject/accept-encoding.ts'

it.each([
  ['gzip, deflate, br, zstd', 'gzip, deflate, br, zstd'],
  ['GZIP;q=1.0,  x-gzip', 'GZIP;q=1.0, x-gzip'],
  ['compress', 'identity'],
  ['compress, dcb, dcz', 'identity'],
  ['*', 'identity'],
  ['', 'identity'],
  ['gzip;q=0, *;q=1', 'gzip;q=0'],
  ['br , ,;q=1', 'br'],
  ['identity;q=0.5, exi', 'identity;q=0.5'],
])('of %j the scanner can read %j', (value, expected) => {
  expect(readableEncodings(value)).toBe(expected)
  expect(readableEncodings(value)).toBe(expected)
})

it('goes on when more values were seen than are remembered', () => {
  for (let at = 0; at < 1_000; at++) expect(readableEncodings(`gzip;q=0.${at}, compress`)).toBe(`gzip;q=0.${at}`)
})
