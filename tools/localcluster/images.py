"""Container images without a registry: made here from Debian, kept as archives that a node imports."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from localcluster.cluster import run
from localcluster.debian import require_packages
from localcluster.programs import SOURCE, cached, say

RECIPES = SOURCE / "images"
RELEASE = "bookworm"
BASE_PACKAGES = "python3,python3-venv,ca-certificates"
NEEDLESS = ("dev", "var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")
POSTGRES = "localhost/pggit-postgres:15"
SANDBOX = "localhost/pggit-sandbox:1"


def debian_base_image() -> Path:
    """A Debian with Python: `BASE_IMAGE=oci-archive:<path>` builds the project's Dockerfile on it."""
    return cached(f"debian-{RELEASE}-{_hash('debian')}", "image.tar", _build_debian)


def postgres_image() -> Path:
    """PostgreSQL 15 from Debian. The image is called POSTGRES, and runs as user 999 under restricted pod security."""

    def build(into: Path) -> None:
        base = f"BASE_IMAGE=oci-archive:{debian_base_image()}"
        build_image(RECIPES / "postgres", POSTGRES, into / "image.tar", "--build-arg", base)

    return cached(f"postgres-15-{_hash('debian', 'postgres')}", "image.tar", build)


def sandbox_image() -> Path:
    """What holds a pod's namespaces open. The image is called SANDBOX."""

    def build(into: Path) -> None:
        require_packages()
        shutil.copy("/bin/busybox", into / "busybox")
        recipe = RECIPES / "sandbox/Dockerfile"
        build_image(into, SANDBOX, into / "image.tar", "--file", str(recipe))

    return cached(f"sandbox-{_hash('sandbox')}", "image.tar", build)


def build_image(context: Path, name: str, archive: Path, *options: str) -> None:
    """Build a folder's Dockerfile with buildah into an archive, with the machine's network and without a daemon."""
    require_packages()
    say(f"building the image {name}")
    with tempfile.TemporaryDirectory(prefix="pggit-images-") as folder:
        buildah = ["buildah", "--root", f"{folder}/storage", "--runroot", f"{folder}/run"]
        here = ["--isolation", "chroot", "--network", "host"]
        try:
            run([*buildah, "build", *here, "--quiet", "--tag", name, *options, str(context)])
            run([*buildah, "push", "--quiet", name, f"oci-archive:{archive}:{name}"])
        finally:
            subprocess.run([*buildah, "umount", "--all"], capture_output=True, check=False)


def _build_debian(into: Path) -> None:
    require_packages()
    say(f"making a Debian {RELEASE} base image (once; about a minute)")
    root = into / "root"
    run(["debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", RELEASE, str(root)])
    for needless in NEEDLESS:
        shutil.rmtree(root / needless)
        (root / needless).mkdir()
    recipe = RECIPES / "debian/Dockerfile"
    build_image(root, "localhost/pggit-debian:1", into / "image.tar", "--file", str(recipe))
    shutil.rmtree(root)


def _hash(*recipes: str) -> str:
    digest = hashlib.sha256(f"{BASE_PACKAGES} {NEEDLESS}".encode())
    for file in sorted(file for recipe in recipes for file in (RECIPES / recipe).iterdir()):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
