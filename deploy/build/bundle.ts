// npm run build: one file for distribution, since Node strips no types inside node_modules.
import { rm, stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('../../', import.meta.url))
const outfile = `${root}dist/main.js`

await rm(`${root}dist`, { recursive: true, force: true })
await build({
  entryPoints: [`${root}cli/main.ts`],
  outfile,
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
    {
      // The demo needs the source tree and its development dependencies; it says so itself.
      name: 'without-demo',
      setup({ onResolve }) {
        onResolve({ filter: /\/demo\/run\.ts$/ }, ({ path }) => ({ path, external: true }))
      },
    },
  ],
})
console.log(`dist/main.js, ${Math.round((await stat(outfile)).size / 1024)} KiB`)
