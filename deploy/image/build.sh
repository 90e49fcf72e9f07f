#!/bin/sh
# Build the image with whichever engine is here.
#
#   deploy/image/build.sh                          # hashmatch:<version>, with docker, podman or buildah
#   ENGINE=podman TAG=registry.example/hashmatch:1 deploy/image/build.sh
#   deploy/image/build.sh --build-arg KERNEL_CPU=neoverse-n1 --build-arg BASE=python:3.13-slim-trixie@sha256:...
#
# Arguments are handed to the engine.
set -eu
cd "$(dirname "$0")/../.."

engine=${ENGINE:-}
for candidate in docker podman buildah; do
    # `docker` may be installed without a daemon that answers
    if [ -z "$engine" ] && command -v "$candidate" >/dev/null && "$candidate" info >/dev/null 2>&1; then
        engine=$candidate
    fi
done
[ -n "$engine" ] || { echo "build.sh: found no working docker, podman or buildah" >&2; exit 2; }

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' hashmatch/__init__.py)
tag=${TAG:-hashmatch:$version}
revision=unknown
epoch=1577836800
if git rev-parse --verify --quiet HEAD >/dev/null 2>&1; then
    revision=$(git rev-parse HEAD)$(git diff --quiet HEAD -- || echo -dirty)
    epoch=$(git log -1 --format=%ct)
fi

case $engine in
    *docker) set -- build "$@" ;;
    # the OCI image format has no place for HEALTHCHECK
    *) set -- build --format docker "$@" ;;
esac
set -x
exec "$engine" "$@" --tag "$tag" --file Dockerfile \
    --build-arg SOURCE_DATE_EPOCH="$epoch" \
    --build-arg VERSION="$version" \
    --build-arg REVISION="$revision" \
    --build-arg CREATED="$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)" \
    .
