"""Secrets: read by name, never listed or watched; written only where they are ours."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any

from pggit_operator.errors import SecretInvalid, SecretNotOurs
from pggit_operator.kube.client import Api, Gone


@dataclass(frozen=True)
class Holder:
    """The object that a Secret of ours belongs to and goes with."""

    api_version: str
    kind: str
    name: str
    uid: str

    @property
    def reference(self) -> dict[str, Any]:
        return {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
        }


@dataclass(frozen=True)
class Secret:
    """A Secret's content."""

    namespace: str
    name: str
    data: dict[str, str] = field(repr=False)
    resource_version: str
    uid: str
    controller: str | None


class Secrets:
    """Calls on Secrets."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def get(self, namespace: str, name: str) -> Secret | None:
        """The Secret, None without."""
        try:
            found = self._api.get(f"get the Secret {namespace}/{name}", _path(namespace, name))
        except Gone:
            return None
        meta = found["metadata"]
        return Secret(
            namespace=namespace,
            name=name,
            data=_decoded(name, found.get("data") or {}),
            resource_version=meta["resourceVersion"],
            uid=meta["uid"],
            controller=next((one["uid"] for one in meta.get("ownerReferences", []) if one.get("controller")), None),
        )

    def put(self, namespace: str, name: str, holder: Holder, data: dict[str, str]) -> None:
        """Make the Secret say exactly this. Refuses to touch one that belongs to something else."""
        there = self.get(namespace, name)
        if there is None:
            self._create(namespace, name, holder, data)
            return
        require_ours(there, holder)
        if there.data != data:
            gone: dict[str, str | None] = {key: None for key in there.data if key not in data}
            change = {
                "metadata": {"uid": there.uid, "resourceVersion": there.resource_version},
                "data": {**gone, **_encoded(data)},
            }
            self._api.patch(f"patch the Secret {namespace}/{name}", _path(namespace, name), change)

    def delete(self, namespace: str, name: str, holder: Holder) -> None:
        """Take our Secret away; one that is not ours stays."""
        there = self.get(namespace, name)
        if there is None or there.controller != holder.uid:
            return
        sure = {"preconditions": {"uid": there.uid, "resourceVersion": there.resource_version}}
        try:
            self._api.delete(f"delete the Secret {namespace}/{name}", _path(namespace, name), sure)
        except Gone:
            return

    def _create(self, namespace: str, name: str, holder: Holder, data: dict[str, str]) -> None:
        wanted = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {"app.kubernetes.io/managed-by": "pggit-operator"},
                "ownerReferences": [holder.reference],
            },
            "type": "Opaque",
            "data": _encoded(data),
        }
        self._api.create(f"create the Secret {namespace}/{name}", _path(namespace), wanted)


def _path(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/secrets" + (f"/{name}" if name else "")


def require_ours(secret: Secret, holder: Holder) -> None:
    """Refuse a Secret whose controller is not this very object."""
    if secret.controller != holder.uid:
        raise SecretNotOurs(
            f"the Secret {secret.name} is there already and was not made by this {holder.kind}: it is left alone",
            "Name another Secret in spec.access.secretName.",
        )


def _encoded(data: dict[str, str]) -> dict[str, str]:
    return {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}


def _decoded(name: str, data: dict[str, str]) -> dict[str, str]:
    try:
        return {key: base64.b64decode(text).decode() for key, text in data.items()}
    except (binascii.Error, UnicodeDecodeError):
        raise SecretInvalid(f"the Secret {name} has a key that is not text", "Take it out.") from None
