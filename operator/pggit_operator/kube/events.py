"""Kubernetes Events: what `kubectl describe` tells below the object."""

from __future__ import annotations

import datetime
import socket
from typing import Any

from pggit_operator.kube.client import Api

_COMPONENT = "pggit-operator"


class Events:
    """Writes Events."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._host = socket.gethostname()

    def post(self, body: dict[str, Any], *, warning: bool, reason: str, message: str) -> None:
        """Tell about an object."""
        meta = body["metadata"]
        now = datetime.datetime.now(datetime.UTC)
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{meta['name'][:200]}.", "namespace": meta["namespace"]},
            "involvedObject": {
                "apiVersion": body["apiVersion"],
                "kind": body["kind"],
                "namespace": meta["namespace"],
                "name": meta["name"],
                "uid": meta["uid"],
                "resourceVersion": meta["resourceVersion"],
            },
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "message": message[:1024],
            "source": {"component": _COMPONENT, "host": self._host},
            "firstTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "lastTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "count": 1,
        }
        path = f"/api/v1/namespaces/{meta['namespace']}/events"
        self._api.create(f"post an Event about {meta['namespace']}/{meta['name']}", path, event)
