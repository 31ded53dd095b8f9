#!/bin/sh
# Takes libraries, programs and licences out of packages of Debian, without installing them: no script of theirs runs, so
# that any architecture can be had on any. Usage: unpack.sh ARCHITECTURE FOLDER PACKAGE… (one for all of them: PACKAGE:all)
set -eu
architecture=$1 folder=$2
shift 2

if [ "$architecture" != "$(dpkg --print-architecture)" ] && ! dpkg --print-foreign-architectures | grep -qx "$architecture"; then
  dpkg --add-architecture "$architecture"
  apt-get -qq update
fi

debs=$(mktemp -d)
cd "$debs"
# Not as its user _apt, who may not write here.
download() {
  case $1 in
    *:all) apt-get -qq -o APT::Sandbox::User=root download "${1%:all}" ;;
    *) apt-get -qq -o APT::Sandbox::User=root download "$1:$architecture" ;;
  esac
}
for package; do download "$package"; done
# Some keep their licence in a package that they share with others.
for shared in $(for deb in *.deb; do dpkg-deb --contents "$deb"; done | sed -n 's|.* \./usr/share/doc/[^ /]* -> ||p' | sort -u); do
  download "$shared"
done

mkdir -p "$folder/usr/lib" "$folder/usr/sbin" "$folder/usr/share/sbom"
# As on every Debian of today; some packages still have files on the left side of these.
for merged in lib sbin; do ln -sfn "usr/$merged" "$folder/$merged"; done
if [ "$architecture" = amd64 ]; then
  mkdir -p "$folder/usr/lib64"
  ln -sfn usr/lib64 "$folder/lib64"
fi

for deb in *.deb; do
  # What is left out of libc6 converts between character sets, or watches memory and calls.
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder" --keep-directory-symlink --no-same-owner \
    --exclude './etc' --exclude './var' --exclude 'gconv' --exclude 'audit' --exclude 'systemd' \
    --exclude 'libmemusage.so' --exclude 'libpcprofile.so' --exclude 'libc_malloc_debug.so*' --exclude 'libthread_db.so*'
  dpkg-deb --show --showformat '${Package}\t${Version}\t${Architecture}\n' "$deb"
done >"$folder/usr/share/sbom/debian.tsv"
# Of what is for people, the licences.
find "$folder/usr/share" ! -type d ! -name copyright ! -name debian.tsv -delete

# The roots of the web, as update-ca-certificates would join them.
for deb in ca-certificates_*.deb; do
  [ -e "$deb" ] || continue
  mkdir -p "$folder/etc/ssl/certs" roots
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C roots
  cat roots/usr/share/ca-certificates/mozilla/*.crt >"$folder/etc/ssl/certs/ca-certificates.crt"
  rm "$folder/usr/sbin/update-ca-certificates"
done
find "$folder" -depth -mindepth 2 -type d -empty -delete
rm -rf "$debs"
