// What clients print, as they print it: whether it says that they trust, that they do not, or neither.
import { describe, expect, it } from 'vitest'
import { judgeHandshake } from '../../../cli/doctor/runtimes.ts'

const judge = (code: number | null, out: string, lacking?: RegExp) =>
  judgeHandshake(
    { name: 'it', variable: 'ITS_VARIABLE', ...(lacking && { lacking }) },
    '/usr/bin/it',
    'api.example',
    code,
    out,
  )

describe('a runtime', () => {
  it.each([
    [
      'curl',
      60,
      'curl: (60) SSL certificate problem: unable to get local issuer certificate\nMore details here: https://curl.se',
    ],
    [
      'curl, no file',
      77,
      'curl: (77) error setting certificate verify locations:  CAfile: /none CApath: /etc/ssl/certs',
    ],
    [
      'wget, OpenSSL',
      5,
      'ERROR: cannot verify api.example’s certificate, issued by ‘CN=postern’:\n  Unable to locally verify the issuer’s authority.',
    ],
    [
      'wget, GnuTLS',
      5,
      'ERROR: The certificate of ‘api.example’ is not trusted.\nERROR: The certificate of ‘api.example’ doesn’t have a known issuer.',
    ],
    [
      'git, GnuTLS',
      128,
      "fatal: unable to access 'https://api.example/': server certificate verification failed. CAfile: none CRLfile: none",
    ],
    [
      'Python',
      1,
      'urllib.error.URLError: <urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate (_ssl.c:1006)>',
    ],
    ['Node', 1, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE unable to verify the first certificate'],
    ['Node, own', 1, 'SELF_SIGNED_CERT_IN_CHAIN self-signed certificate in certificate chain'],
    [
      'Go',
      1,
      '{"Error":"Get \\"https://api.example/x\\": tls: failed to verify certificate: x509: certificate signed by unknown authority"}',
    ],
    [
      'Java',
      1,
      'Exception in thread "main" javax.net.ssl.SSLHandshakeException: PKIX path building failed: unable to find valid certification path to requested target',
    ],
    [
      'Java, no store',
      1,
      'java.security.InvalidAlgorithmParameterException: the trustAnchors parameter must be non-empty',
    ],
  ])('that does not trust is red: %s', (_name, code, out) => {
    const { state, saw, todo } = judge(code, out)
    expect([state, saw]).toEqual(['red', expect.stringContaining('does not accept the certificate for api.example')])
    expect(todo).toContain('ITS_VARIABLE')
  })

  it.each([
    ['curl', 0, 'answered 403'],
    ['wget, refused', 8, '--2026--  https://api.example/\n  HTTP/1.1 403 Forbidden\n  Postern-Reason: no_rule'],
    ['git', 128, "fatal: unable to access 'https://api.example/x/': The requested URL returned error: 403"],
    ['git, nothing there', 128, "fatal: repository 'https://postern.internal/x/' not found"],
    ['git, who are you', 128, "fatal: could not read Username for 'https://api.example': terminal prompts disabled"],
    ['Go', 1, '{"Error":"postern-doctor.invalid/handshake@v1.0.0: reading https://api.example/x.info: 403 Forbidden"}'],
    ['Java', 0, 'Picked up JAVA_TOOL_OPTIONS: -Dx\nanswered 403'],
  ])('that came past the handshake is green, whatever was answered: %s', (_name, code, out) => {
    expect(judge(code, out)).toMatchObject({ state: 'green' })
  })

  it('that is not whole is left out', () => {
    expect(judge(1, "ModuleNotFoundError: No module named 'requests'", /No module named/)).toMatchObject({
      state: 'skipped',
    })
  })

  it.each([
    [6, 'curl: (6) Could not resolve host: api.example', 'ended with 6'],
    [7, 'curl: (7) Failed to connect to 127.0.0.1 port 15001', 'ended with 7'],
    [null, '', 'gave no answer in time'],
  ])('that did not come so far is red, and is not said to distrust: %s', (code, out, how) => {
    expect(judge(code, out)).toMatchObject({ state: 'red', saw: expect.stringContaining(how) })
  })

  it('is not quoted with what proves a run, nor with what steers a terminal', () => {
    const { saw } = judge(1, '\u001b[31mProxyError: http://run:aSecretOfThisRun@127.0.0.1:15001 refused')
    expect(saw).not.toContain('aSecretOfThisRun')
    expect(saw).not.toContain('\u001b')
  })
})
