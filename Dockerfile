# Two images: `postern`, the proxy; `postern-capture`, the same with nft, for the container that writes the rules of a pod.
# docs/image.md says how they are built, with a Docker engine or without one.
#
# BASE is what the build runs on: Debian 13 or newer with apt, Node.js 26 and npm. Nothing of it gets into an image. The
# default is a tag, and a tag can be moved: give a digest that you have seen yourself, as BASE=node:26-trixie-slim@sha256:…
ARG BASE=node:26-trixie-slim

# Everything up to the last stages runs where the build runs, whatever it is for: no program of another architecture.
FROM --platform=$BUILDPLATFORM ${BASE} AS tools
RUN apt-get -qq update \
  && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends binutils-multiarch >/dev/null

# The libraries of Debian that Node.js needs, and the roots of the web; then what nft needs.
FROM tools AS libraries
ARG TARGETARCH
COPY deploy/image/unpack.sh /build/
RUN sh /build/unpack.sh "$TARGETARCH" /image libc6 libgcc-s1 libstdc++6 libatomic1 ca-certificates:all
RUN sh /build/unpack.sh "$TARGETARCH" /nft nftables libnftables1 libedit2 libmnl0 libnftnl11 libxtables12 libjansson4 \
  libgmp10 libtinfo6 libbsd0 libmd0

FROM tools AS bundle
# The folder is the name of the program in the SBOM.
WORKDIR /build/postern
ENV NPM_CONFIG_USERCONFIG=/run/secrets/npmrc NPM_CONFIG_CACHE=/build/cache NPM_CONFIG_UPDATE_NOTIFIER=false
COPY package.json package-lock.json ./
RUN --mount=type=secret,id=npmrc,target=/run/secrets/npmrc --mount=type=tmpfs,target=/build/cache \
  npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN node deploy/build/bundle.ts

FROM bundle AS program
ARG TARGETARCH
ARG VERSION
COPY --from=libraries /image /image
COPY --from=libraries /nft /nft
RUN --mount=type=secret,id=npmrc,target=/run/secrets/npmrc --mount=type=tmpfs,target=/build/cache \
  sh deploy/image/program.sh "$TARGETARCH" /image "$VERSION" \
  && node deploy/image/sbom.ts /image postern "$TARGETARCH" && node deploy/image/sbom.ts /nft nft "$TARGETARCH"

FROM scratch AS common
COPY --from=program /image /
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.version="$VERSION" \
  org.opencontainers.image.revision="$REVISION" \
  org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/usr/sbin:/usr/bin
STOPSIGNAL SIGTERM
# As /usr/bin/postern, under Node's permission model: docs/operations.md says what that takes away.
ENTRYPOINT ["/usr/bin/node", "--permission", "--allow-fs-read=*", "--allow-fs-write=*", "--allow-net", "--allow-ffi", \
  "--allow-child-process", "--disable-sigusr1", "--disable-warning=SecurityWarning", "--disable-warning=ExperimentalWarning", \
  "/usr/lib/postern/cli/postern.js"]

# Root with the capability NET_ADMIN in the network namespace of the pod, and nothing else; it ends when the rules are there.
FROM common AS postern-capture
COPY --from=program /nft /
LABEL org.opencontainers.image.title="postern-capture" \
  org.opencontainers.image.description="Writes the rules by which everything that a pod sends comes to its proxy."
USER 0:0

# Last, so that it is what is built where no target is named.
FROM common AS postern
LABEL org.opencontainers.image.title="postern" \
  org.opencontainers.image.description="An egress proxy for AI agents."
USER 14001:14001
CMD ["run", "--config", "/etc/postern/postern.yaml"]
