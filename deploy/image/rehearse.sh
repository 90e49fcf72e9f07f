#!/bin/sh
# Build and check the image where no registry and no engine is at hand: the base image is made by debootstrap.
#
#   sudo apt-get install --no-install-recommends debootstrap buildah podman runc catatonit containernetworking-plugins
#   sudo deploy/image/rehearse.sh                  # Debian 13, Python 3.13
#   sudo SUITE=bookworm deploy/image/rehearse.sh   # Debian 12, Python 3.11: the oldest that hashmatch runs on
#
# It runs the Dockerfile itself, line by line, not a copy of its steps. Debian's Python stands in for the official
# image's; pip's configuration and the certificate authorities are this machine's, so that a package mirror is used in
# the build as it is outside. Everything but the two images stays in $SCRATCH.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
suite=${SUITE:-trixie}
scratch=${SCRATCH:-$(mktemp -d)}
base=localhost/hashmatch-base:$suite
export TAG="${TAG:-localhost/hashmatch:rehearsal}"
export ENGINE="${ENGINE:-podman}"

[ "$(id -u)" = 0 ] || { echo "rehearse.sh: debootstrap needs root" >&2; exit 2; }
root=$scratch/$suite
if [ ! -e "$root/complete" ]; then
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates "$suite" "$root"
    touch "$root/complete"
fi
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
for file in /etc/pip.conf "${PIP_CONFIG_FILE:-}"; do
    if [ -f "$file" ]; then cp "$file" "$root/etc/pip.conf"; fi
done
tar -C "$root" -c . | "$ENGINE" import - "$base" >/dev/null

# runc, and limits that a container's own root may set, because this may itself be a small virtual machine or container
cat >"$scratch/containers.conf" <<CONF
[engine]
runtime = "runc"
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
CONF
export CONTAINERS_CONF="$scratch/containers.conf"

# host network: a build needs the package index and nothing else
BUILDAH_ISOLATION=chroot "$here/build.sh" --network host --build-arg BASE="$base" "$@"
exec "$here/check.sh"
