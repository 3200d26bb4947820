"""Helm renders the chart; the real binary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcluster import programs
from localcluster.cluster import run

CHART = Path(__file__).resolve().parents[2] / "charts" / "pggit-operator"
Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]


@pytest.fixture(scope="session")
def helm() -> Callable[..., str]:
    """Helm with these arguments; what it printed. Raises ClusterError with what it said."""
    binary = programs.helm()
    return lambda *arguments: run([str(binary), *arguments])


@pytest.fixture(scope="session")
def render(helm: Callable[..., str]) -> Render:
    """The chart's manifests with these `--set` values, in namespace pggit-system."""

    def rendered(*values: str) -> list[Manifest]:
        options = [part for value in values for part in ("--set", value)]
        place = ["--namespace", "pggit-system", "--kube-version", programs.KUBERNETES]
        text = helm("template", "pggit-operator", str(CHART), *place, *options)
        return [manifest for manifest in yaml.safe_load_all(text) if manifest]

    return rendered
