#!/usr/bin/env bash
# Build the operator's image with docker, podman or buildah, whichever works.
#   tools/image.sh [NAME:TAG]        BASE_IMAGE: another base image, BUILD_OPTIONS: more options for the tool
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
image=${1:-pggit-operator:$version}
read -ra options <<<"${BUILD_OPTIONS:-}"
if [ -n "${BASE_IMAGE:-}" ]; then options+=(--build-arg "BASE_IMAGE=$BASE_IMAGE"); fi

if docker info >/dev/null 2>&1; then
    tool=docker
elif podman info >/dev/null 2>&1; then
    tool=podman
elif buildah info >/dev/null 2>&1; then
    tool=buildah
else
    echo "an image needs docker (with its daemon running), podman or buildah, and none of them works here" >&2
    exit 1
fi

echo "building $image with $tool" >&2
"$tool" build "${options[@]}" --tag "$image" --file Dockerfile .
