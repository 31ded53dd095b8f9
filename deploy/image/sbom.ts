// Ends the list of what is in an image, FOLDER/usr/share/sbom/NAME.cdx.json: leaves what is in there of the packages that
// npm names, and adds those of Debian. Usage, beside package-lock.json: sbom.ts FOLDER NAME ARCHITECTURE
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

interface Component {
  readonly 'bom-ref': string
  readonly type: string
  readonly name: string
  readonly version: string
  readonly purl: string
}

/** What npm writes of CycloneDX 1.5, as far as it is looked at. */
interface Document {
  readonly components: readonly Component[]
  readonly dependencies?: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[]
}

const [root = '', name = '', architecture = ''] = process.argv.slice(2)
const folder = join(root, 'usr/share/sbom')
const file = join(folder, `${name}.cdx.json`)
const list = join(folder, 'debian.tsv')

/**
 * Each package of production, `name@version`. `npm sbom --omit dev` (npm 11) leaves out those that a package of development
 * needs as well; the lock tells them apart.
 */
function production(): ReadonlySet<string> {
  const lock: { readonly packages: Readonly<Record<string, { version: string; dev?: true }>> } = JSON.parse(
    readFileSync('package-lock.json', 'utf8'),
  )
  return new Set(
    Object.entries(lock.packages).flatMap(([path, { version, dev }]) =>
      dev === true ? [] : [`${path.replace(/^(.*\/)?node_modules\//, '')}@${version}`],
    ),
  )
}

/** The lock names a Node.js for each kind of machine; one of them is in the image. */
function forOtherMachines(title: string): boolean {
  return (
    /^node(-bin)?-(linux|darwin|win32)-/.test(title) && title !== `node-linux-${architecture.replace('amd64', 'x64')}`
  )
}

/** A line of what unpack.sh wrote. */
function fromDebian(line: string): Component {
  const [title = '', version = '', of = ''] = line.split('\t')
  const purl = `pkg:deb/debian/${encodeURIComponent(title)}@${encodeURIComponent(version)}?arch=${of}`
  return { 'bom-ref': purl, type: 'library', name: title, version, purl }
}

const empty: Document & Record<string, unknown> = {
  bomFormat: 'CycloneDX',
  specVersion: '1.5',
  version: 1,
  components: [],
}
const document: typeof empty = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : empty
const wanted = production()
const isInside = ({ name: title, version }: Component) => wanted.has(`${title}@${version}`) && !forOtherMachines(title)
const components = document.components.filter(isInside)
const gone = new Set(document.components.filter((each) => !isInside(each)).map((each) => each['bom-ref']))
const debian = readFileSync(list, 'utf8').trim().split('\n').sort().map(fromDebian)
const dependencies = document.dependencies
  ?.filter(({ ref }) => !gone.has(ref))
  .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((each) => !gone.has(each)) }))
writeFileSync(file, `${JSON.stringify({ ...document, components: [...components, ...debian], dependencies })}\n`)
rmSync(list)
