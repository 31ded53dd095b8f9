// npm run build: one file for distribution, since Node strips no types inside node_modules.
import { readdir, rm, stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build, type ImportKind, type Plugin } from 'esbuild'

const root = fileURLToPath(new URL('../../', import.meta.url))
const outdir = `${root}dist`

/** Takes the place of a module where all of it would cost a start more than the part that is used. */
function instead(module: string, contents: string, asked: ImportKind = 'import-statement'): Plugin {
  return {
    name: `instead of ${module}`,
    setup({ onResolve, onLoad }) {
      const filter = new RegExp(`^${module}$`)
      onResolve({ filter }, ({ kind }) => (kind === asked ? { path: module, namespace: 'instead' } : undefined))
      onLoad({ filter, namespace: 'instead' }, () => ({ contents, resolveDir: root, loader: 'js' }))
    },
  }
}

await rm(outdir, { recursive: true, force: true })
await build({
  entryPoints: {
    main: `${root}cli/main.ts`,
    // Started as a process of its own, in the namespace of a command.
    inside: `${root}cli/exec/isolate/inside.ts`,
  },
  outdir,
  // A command loads what it needs alone.
  splitting: true,
  chunkNames: 'part-[hash]',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'linked',
  sourcemap: 'linked',
  sourcesContent: false,
  // Some dependencies are CommonJS and ask for Node's own modules by `require`.
  banner: {
    js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);",
  },
  plugins: [
    // An import reads each of its exports, among them those for which Node loads its own WebSocket: 15 MB.
    instead('node:http', "module.exports = process.getBuiltinModule('node:http')"),
    // HTTP/2 is never offered.
    instead('./client-h2.js', 'module.exports = undefined', 'require-call'),
    // Neither fetch nor WebSocket, mocks and caches.
    instead(
      'undici',
      "exports.Agent = require('undici/lib/dispatcher/agent.js'); exports.errors = require('undici/lib/core/errors.js')",
    ),
    {
      // The demo needs the source tree and its development dependencies; it says so itself.
      name: 'without-demo',
      setup({ onResolve }) {
        onResolve({ filter: /\/demo\/run\.ts$/ }, ({ path }) => ({ path, external: true }))
      },
    },
  ],
})
const sizes = (await readdir(outdir)).filter((name) => name.endsWith('.js')).map((name) => stat(`${outdir}/${name}`))
const bytes = (await Promise.all(sizes)).reduce((sum, { size }) => sum + size, 0)
console.log(`dist/main.js and its parts, ${Math.round(bytes / 1024)} KiB`)
