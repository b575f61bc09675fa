#!/usr/bin/env bash
# Makes the Debian package of a built command: packaging/deb.sh SPOTTER FOLDER. Needs dpkg-deb only.
set -euo pipefail
spotter=$(realpath "${1:?usage: packaging/deb.sh SPOTTER FOLDER}")
folder=$(realpath "${2:?usage: packaging/deb.sh SPOTTER FOLDER}")
cd "$(dirname "$0")"
version=$("$spotter" --version | cut -d' ' -f2)
architecture=$(dpkg --print-architecture)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"

install -D -m 755 "$spotter" "$root/usr/bin/spotter"
strip --strip-debug "$root/usr/bin/spotter" 2>/dev/null || true
install -D -m 644 spotter.toml "$root/etc/spotter/spotter.toml"
install -D -m 644 systemd/spotter.service "$root/lib/systemd/system/spotter.service"
install -D -m 644 systemd/capture.conf "$root/usr/share/doc/spotter/capture.conf"
install -D -m 644 ../README.md "$root/usr/share/doc/spotter/README.md"
install -D -m 644 ../LICENSE "$root/usr/share/doc/spotter/copyright"
mkdir -p "$root/usr/share/man/man1" "$root/usr/share/bash-completion/completions" "$root/usr/share/zsh/vendor-completions"
"$spotter" manual pages "$root/usr/share/man/man1"
gzip -9n "$root"/usr/share/man/man1/*
"$spotter" manual completions bash >"$root/usr/share/bash-completion/completions/spotter"
"$spotter" manual completions zsh >"$root/usr/share/zsh/vendor-completions/_spotter"

mkdir "$root/DEBIAN"
# The C library is the only one linked at run time; the version is the newest symbol the binary asks for.
libc=$(grep -aoE 'GLIBC_2\.[0-9]+' "$spotter" | sort -uV | tail -n 1 | cut -d_ -f2)
cat >"$root/DEBIAN/control" <<EOF
Package: spotter
Version: $version
Architecture: $architecture
Maintainer: Spotter <spotter@localhost>
Section: net
Priority: optional
Installed-Size: $(du -sk "$root" | cut -f1)
Depends: libc6 (>= $libc), libgcc-s1, libssl3, zlib1g, adduser
Description: network threat-hunting appliance
 Turns the packets of a tap or SPAN port, or capture files, into flow, DNS and
 proxy records, keeps them as Parquet, learns what is normal for every host and
 shows the few records that are not in a web application.
EOF
echo /etc/spotter/spotter.toml >"$root/DEBIAN/conffiles"
cat >"$root/DEBIAN/postinst" <<'EOF'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    adduser --system --group --home /var/lib/spotter --no-create-home --quiet spotter
    # Where the example configuration looks for capture files.
    install -d -o spotter -g spotter -m 750 /var/spool/spotter /var/spool/spotter/incoming
    # Installed, not started: the interface and folders come first, in /etc/spotter/spotter.toml.
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        [ -z "$2" ] || systemctl try-restart spotter.service
    fi
fi
EOF
cat >"$root/DEBIAN/prerm" <<'EOF'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then systemctl disable --now spotter.service; fi
EOF
chmod 755 "$root/DEBIAN/postinst" "$root/DEBIAN/prerm"
dpkg-deb --root-owner-group -Zzstd --build "$root" "$folder/spotter_${version}_$architecture.deb"
