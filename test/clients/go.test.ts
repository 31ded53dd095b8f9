// net/http of Go, compiled here.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { execute } from '../support/execute.ts'
import { missing } from '../support/programs.ts'
import { canary, clientsWorld, type World } from './world.ts'

const program = `package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func main() {
	for _, url := range os.Args[1:] {
		var answer *http.Response
		var err error
		if strings.HasSuffix(url, "post") {
			answer, err = http.Post(url, "application/x-www-form-urlencoded", strings.NewReader("name=Ada"))
		} else {
			answer, err = http.Get(url)
		}
		if err != nil {
			fmt.Println("failed", err)
			continue
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		fmt.Println(answer.StatusCode, string(body))
	}
}
`

const left = missing('Go', ['go', 'version'])

describe.skipIf(left !== undefined)(
  `Go through postern exec${left === undefined ? '' : ` (left out: ${left})`}`,
  () => {
    let world: World
    beforeAll(async () => {
      world = await clientsWorld({ 'main.go': program, 'go.mod': 'module client\n\ngo 1.20\n' })
      // The cache of this user spares compiling the standard library anew.
      const { HOME = world.path, GOCACHE, GOROOT } = process.env
      const environment = {
        HOME,
        ...(GOCACHE && { GOCACHE }),
        ...(GOROOT && { GOROOT }),
        GOFLAGS: '-mod=mod',
        GOPROXY: 'off',
      }
      const built = await execute('go', ['build', '-o', 'client', '.'], { cwd: world.path, environment })
      if (built.code !== 0) throw new Error(built.errors)
    }, 120_000)
    afterAll(() => world[Symbol.asyncDispose]())

    test('reaches an HTTPS API with a credential that it never had, and is told why not', async () => {
      const urls = [`${world.api}/v1/a`, `${world.api}/v1/post`, `${world.api}/forbidden`]
      const { code, out } = await world.run(['./client', ...urls])
      expect(code).toBe(0)
      const [first, second, third] = out.split('\n')
      expect(first).toBe('200 {"hello":"from the API","bytes":0}')
      expect(second).toBe('200 {"hello":"from the API","bytes":8}')
      expect(third).toMatch(/^403 .*"reason":"no_rule"/)
      const authorization = `Bearer ${canary}`
      expect(world.seen()).toMatchObject([
        { method: 'GET', url: '/v1/a', headers: { authorization } },
        { method: 'POST', url: '/v1/post', body: 'name=Ada', headers: { authorization } },
      ])
    })
  },
)
