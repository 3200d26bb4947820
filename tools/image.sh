#!/usr/bin/env bash
# Build the operator's image with docker, podman or buildah, whichever works.
#   tools/image.sh [NAME:TAG]
# IMAGE_TOOL: use this one · BASE_IMAGE: another base image · BUILD_OPTIONS: more options of the tool's build command
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
image=${1:-pggit-operator:$version}

tool=
for candidate in ${IMAGE_TOOL:-docker podman buildah}; do
    if "$candidate" info >/dev/null 2>&1; then
        tool=$candidate
        break
    fi
done
if [ -z "$tool" ]; then
    echo "an image needs docker (with its daemon running), podman or buildah, and none of them works here" >&2
    exit 1
fi

read -ra options <<<"${BUILD_OPTIONS:-}"
if [ -n "${BASE_IMAGE:-}" ]; then options+=(--build-arg "BASE_IMAGE=$BASE_IMAGE"); fi
echo "building $image with $tool" >&2
"$tool" build "${options[@]}" --tag "$image" --file Dockerfile .
