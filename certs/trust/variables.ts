// The environment variables by which runtimes and tools are told whom to trust.

/**
 * Name a file that takes the place of the built-in roots. All of them are set, always: images set many of them
 * themselves, and one left alone would keep its program from the proxy.
 */
export const replacing = [
  'SSL_CERT_FILE', // OpenSSL, Python, Go, Ruby, .NET, Rust, uv, httpx
  'REQUESTS_CA_BUNDLE', // Python requests, conda, poetry
  'CURL_CA_BUNDLE', // curl
  'PIP_CERT', // pip
  'AWS_CA_BUNDLE', // AWS CLI and SDKs
  'GIT_SSL_CAINFO', // git, also where it is built with GnuTLS
  'GRPC_DEFAULT_SSL_ROOTS_FILE_PATH', // gRPC in C, Python, Ruby, PHP, Node
  'NIX_SSL_CERT_FILE', // Nix
  'HTTPLIB2_CA_CERTS', // Python httplib2
  'CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE', // gcloud
  'CARGO_HTTP_CAINFO', // cargo
  'npm_config_cafile', // npm, pnpm
  'YARN_HTTPS_CA_FILE_PATH', // yarn 2 and later
  'BUNDLE_SSL_CA_CERT', // Ruby's bundler
  'CONDA_SSL_VERIFY', // conda
  'SYSTEM_CERTIFICATE_PATH', // Haskell
  'PERL_LWP_SSL_CA_FILE', // Perl LWP
  'HTTPS_CA_FILE', // Perl Crypt::SSLeay
  'HEX_CACERTS_PATH', // Elixir's hex
  'COMPOSER_CAFILE', // PHP's composer
] as const

/** Name a file whose roots are added to the built-in ones. */
export const appending = [
  'NODE_EXTRA_CA_CERTS', // Node, Bun, Electron
  'DENO_CERT', // Deno
] as const
