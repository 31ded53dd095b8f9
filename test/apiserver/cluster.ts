// A control plane on loopback: etcd and kube-apiserver, with RBAC, Pod Security and service accounts as in a real cluster;
// no kubelet, so that pods are admitted and never run. Where the programs are: POSTERN_ETCD, POSTERN_KUBE_APISERVER, or PATH.
import { type ChildProcess, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
import { makePair } from '../../deploy/injector/certificate/pair.ts'
import { KubeClient } from '../../deploy/injector/kube-client.ts'
import { freePort } from '../support/free-port.ts'
import { missing } from '../support/programs.ts'

const etcd = process.env.POSTERN_ETCD ?? 'etcd'
const apiserver = process.env.POSTERN_KUBE_APISERVER ?? 'kube-apiserver'

/** Why there can be no cluster here; undefined where there can. */
export const noCluster =
  process.getuid?.() === 0
    ? (missing('etcd', [etcd, '--version']) ?? missing('kube-apiserver', [apiserver, '--version']))
    : 'a Service is reached on port 443, which takes root'

/** Addresses of Services: where a Service is, its program listens itself, since nothing forwards to pods here. */
const services = '127.77.0.0/24'

export class Cluster implements AsyncDisposable {
  readonly #folder: string
  readonly #running: ChildProcess[] = []
  readonly ca: string
  readonly port: number
  readonly client: KubeClient
  /** What the programs said. */
  log = ''

  private constructor(folder: string, ca: string, port: number) {
    this.#folder = folder
    this.ca = ca
    this.port = port
    this.client = new KubeClient({ host: 'localhost', port, ca, tokenFile: join(folder, 'admin') })
  }

  static async start(): Promise<Cluster> {
    const folder = await mkdtemp(join(tmpdir(), 'postern-cluster-'))
    const pair = makePair(['localhost'], 24 * 3_600_000, Date.now)
    const cluster = new Cluster(folder, pair.ca, await freePort())
    try {
      await cluster.#start(pair)
    } catch (cause) {
      await cluster[Symbol.asyncDispose]()
      throw new Error(`the cluster does not start: ${cluster.log.slice(-3_000)}`, { cause })
    }
    return cluster
  }

  async #start({ cert, key }: { readonly cert: string; readonly key: string }): Promise<void> {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const files = {
      'tls.crt': cert,
      'tls.key': key,
      admin: 'token-of-the-operator',
      tokens: 'token-of-the-operator,operator,1,system:masters\n',
      'accounts.key': privateKey.export({ type: 'pkcs8', format: 'pem' }),
      'accounts.pub': publicKey.export({ type: 'spki', format: 'pem' }),
    }
    for (const [name, content] of Object.entries(files))
      await writeFile(join(this.#folder, name), content, { mode: 0o600 })
    const [client, peer] = [await freePort(), await freePort()]
    const store = `http://127.0.0.1:${client}`
    this.#run(etcd, {
      'data-dir': this.#in('etcd'),
      'listen-client-urls': store,
      'advertise-client-urls': store,
      'listen-peer-urls': `http://127.0.0.1:${peer}`,
      'initial-advertise-peer-urls': `http://127.0.0.1:${peer}`,
      'initial-cluster': `default=http://127.0.0.1:${peer}`,
    })
    this.#run(apiserver, {
      'etcd-servers': store,
      'bind-address': '127.0.0.1',
      'secure-port': this.port,
      'endpoint-reconciler-type': 'none',
      'service-cluster-ip-range': services,
      'tls-cert-file': this.#in('tls.crt'),
      'tls-private-key-file': this.#in('tls.key'),
      'token-auth-file': this.#in('tokens'),
      'authorization-mode': 'RBAC',
      'service-account-issuer': issuer,
      'service-account-key-file': this.#in('accounts.pub'),
      'service-account-signing-key-file': this.#in('accounts.key'),
    })
    await vi.waitFor(() => this.client.get('/readyz', AbortSignal.timeout(5_000)), {
      timeout: 60_000,
      interval: 200,
    })
  }

  /** Creates an object, read as strictly as `kubectl apply` reads it. */
  create(object: KubeObject, options = ''): Promise<unknown> {
    const path = `${collectionOf(object)}?fieldValidation=Strict${options}`
    return this.client.create(path, object, AbortSignal.timeout(30_000))
  }

  /** A folder as the kubelet mounts it: token and authority. */
  async mountServiceAccount(namespace: string, name: string): Promise<string> {
    const folder = this.#in(`account-${name}`)
    await mkdir(folder)
    await writeFile(join(folder, 'ca.crt'), this.ca)
    await writeFile(join(folder, 'token'), await this.token(namespace, name))
    return folder
  }

  /** A token as the kubelet would have it projected. @param audience of the cluster itself unless told */
  async token(namespace: string, name: string, audience: string = issuer): Promise<string> {
    const answer = (await this.client.create(
      `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
      { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: [audience] } },
      AbortSignal.timeout(10_000),
    )) as { readonly status: { readonly token: string } }
    return answer.status.token
  }

  /** A namespace, and in it the account that the controllers of a real cluster would make. */
  async namespace(name: string, labels: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } })
    await this.create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: name } })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close()
    for (const child of this.#running.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await rm(this.#folder, { recursive: true, force: true })
  }

  #in(name: string): string {
    return join(this.#folder, name)
  }

  #run(program: string, options: Readonly<Record<string, string | number>>): void {
    const args = Object.entries(options).map(([name, value]) => `--${name}=${value}`)
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text: Buffer) => {
        this.log = `${this.log}${text}`.slice(-100_000)
      })
    this.#running.push(child)
  }
}

export const issuer = 'https://kubernetes.default.svc'

export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name?: string; readonly namespace?: string; readonly [key: string]: unknown }
  readonly [key: string]: unknown
}

/** Kinds that are in no namespace. */
const ofTheCluster = [
  'Namespace',
  'ClusterRole',
  'ClusterRoleBinding',
  'MutatingWebhookConfiguration',
  'ValidatingWebhookConfiguration',
]

function collectionOf({ apiVersion, kind, metadata }: KubeObject): string {
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  const plural = kind.toLowerCase().replace(/y$/, 'ie')
  const place = ofTheCluster.includes(kind) ? '' : `/namespaces/${metadata.namespace}`
  return `${group}${place}/${plural}s`
}
