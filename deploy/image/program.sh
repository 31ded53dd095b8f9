#!/bin/sh
# Lays out the program and the Node.js that runs it, as they are in the image. Usage: program.sh ARCHITECTURE FOLDER VERSION
set -eu
architecture=$1 folder=$2 version=$3
case $architecture in
  amd64) cpu=x64 ;;
  arm64) cpu=arm64 ;;
  *) echo "There is no Node.js for ${architecture:-no architecture}: TARGETARCH is amd64 or arm64." >&2 && exit 1 ;;
esac
is=$(node -p 'require("./package.json").version')
[ "$version" = "$is" ] || { echo "VERSION is ${version:-not given}, package.json says $is." >&2 && exit 1; }

node=node-linux-$cpu
if [ ! -d "node_modules/$node" ]; then
  # For another architecture than this one. Its hash is in the lock, as that of every package.
  npm ci --omit dev --os linux --cpu "$cpu" --libc glibc --ignore-scripts --no-audit --no-fund
fi
mkdir -p "$folder/usr/bin" "$folder/usr/share/doc/node" "$folder/usr/share/doc/postern"
npm sbom --sbom-format cyclonedx --sbom-type application --package-lock-only >"$folder/usr/share/sbom/postern.cdx.json"
# Symbols that only a debugger reads are a fifth of it.
strip -o "$folder/usr/bin/node" "node_modules/$node/bin/node"
cp "node_modules/$node/LICENSE" "$folder/usr/share/doc/node/copyright"

program=$folder/usr/lib/postern
mkdir -p "$program/cli" "$program/dist"
cp package.json "$program"
cp dist/*.js "$program/dist"
# There is no env here that could look for node.
sed '1s|.*|#!/usr/bin/node|' cli/postern.js >"$program/cli/postern.js"
chmod 755 "$program/cli/postern.js"
ln -s ../lib/postern/cli/postern.js "$folder/usr/bin/postern"
cp LICENSE "$folder/usr/share/doc/postern/copyright"
cat dist/*.LEGAL.txt >"$folder/usr/share/doc/postern/bundled-licences.txt"

mkdir -p "$folder/etc"
printf 'root:x:0:0:root:/:/nonexistent\npostern:x:14001:14001:postern:/run/postern:/nonexistent\n' >"$folder/etc/passwd"
printf 'root:x:0:\npostern:x:14001:\n' >"$folder/etc/group"
printf 'hosts: files dns\n' >"$folder/etc/nsswitch.conf"
# Where something is mounted. A volume of an engine takes owner and mode from the folder under it.
for mounted in dev proc sys etc/postern etc/postern-credentials run; do mkdir -p "$folder/$mounted"; done
install -d -o 14001 -g 14001 -m 700 "$folder/run/postern"
install -d -o 14001 -g 14001 -m 755 "$folder/run/postern-trust"
