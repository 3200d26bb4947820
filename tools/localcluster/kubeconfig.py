"""Kubeconfig files."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def cluster_entry(server: str, authority: Path) -> dict[str, str]:
    """How to reach and trust an API server."""
    data = base64.b64encode(authority.read_bytes()).decode()
    return {"server": server, "certificate-authority-data": data}


def write_kubeconfig(path: Path, *, cluster: Mapping[str, Any], token: str, namespace: str = "default") -> None:
    """Write a kubeconfig with one cluster and one user (JSON is YAML). Only we may read it."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": "local", "user": {"token": token}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "local", "namespace": namespace}}],
        "current-context": "local",
    }
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=1)
