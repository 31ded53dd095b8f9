// Python's urllib and requests, as a program has them without knowing of a proxy.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missing } from '../support/programs.ts'
import { clientsWorld, expectBothApisReached, type World } from './world.ts'

const urllib = `
import sys, urllib.request, urllib.error
for url in sys.argv[1:]:
    data = b'name=Ada' if url.endswith('post') else None
    try:
        with urllib.request.urlopen(url, data) as answer:
            print(answer.status, answer.read().decode())
    except urllib.error.HTTPError as error:
        print(error.code, error.read().decode())
`

const requests = `
import sys, requests
session = requests.Session()
for url in sys.argv[1:]:
    if url.endswith('post'):
        answer = session.post(url, data={'name': 'Ada'})
    else:
        answer = session.get(url)
    print(answer.status_code, answer.text)
`

describe.each([
  ['urllib', urllib, missing('Python', ['python3', '--version'])],
  ['requests', requests, missing('requests for Python', ['python3', '-c', 'import requests'])],
] as const)('Python', (name, program, left) => {
  const why = left === undefined ? '' : ` (left out: ${left})`

  describe.skipIf(left !== undefined)(`${name} through postern exec${why}`, () => {
    let world: World
    beforeAll(async () => {
      world = await clientsWorld({ 'program.py': program })
    })
    afterAll(() => world[Symbol.asyncDispose]())

    test('reaches an HTTPS API and one in clear, with a credential that it never had, and is told why not', async () => {
      const urls = [`${world.api}/v1/a`, `${world.api}/v1/post`, `${world.api}/forbidden`, `${world.plain}/v1/b`]
      const { code, out, errors } = await world.run(['python3', 'program.py', ...urls])
      expect(errors).not.toContain('Traceback')
      expect(code).toBe(0)
      expectBothApisReached(world, out)
    })
  })
})
