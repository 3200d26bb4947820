"""Our own objects: read one, write its status, its finalizers."""

from __future__ import annotations

from pggit_operator.kube.client import Api, Body, Gone


class Objects:
    """Calls on the kinds of one API group. Every write says which version of the object it is about."""

    def __init__(self, api: Api, group: str, version: str) -> None:
        self._api = api
        self._root = f"/apis/{group}/{version}"

    def get(self, plural: str, namespace: str, name: str) -> Body | None:
        """The object as it is now, None without."""
        try:
            return self._api.get(f"get {plural} {namespace}/{name}", self._path(plural, namespace, name))
        except Gone:
            return None

    def all_in(self, plural: str, namespace: str) -> list[Body]:
        """The objects of one kind in a namespace, as they are now."""
        found = self._api.get(f"list {plural} in {namespace}", f"{self._root}/namespaces/{namespace}/{plural}")
        return list(found["items"])

    def is_served(self, plural: str, namespace: str | None) -> bool:
        """Whether the API server knows this kind."""
        path = f"{self._root}/namespaces/{namespace}/{plural}" if namespace else f"{self._root}/{plural}"
        try:
            self._api.get(f"list {plural}", path, limit="1")
        except Gone:
            return False
        return True

    def patch_status(self, plural: str, body: Body, status: Body) -> Body:
        """Merge `status` into the object's; raises Stale if it is not the object that we looked at."""
        return self._patch(plural, body, {"status": status}, "/status")

    def set_finalizers(self, plural: str, body: Body, finalizers: list[str]) -> Body:
        """Replace the list of finalizers; raises Stale if it is not the object that we looked at."""
        return self._patch(plural, body, {"metadata": {"finalizers": finalizers}}, "")

    def _patch(self, plural: str, body: Body, change: Body, what: str) -> Body:
        meta = body["metadata"]
        sure = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
        change = {**change, "metadata": {**change.get("metadata", {}), **sure}}
        path = self._path(plural, meta["namespace"], meta["name"]) + what
        return self._api.patch(f"patch {plural}{what} {meta['namespace']}/{meta['name']}", path, change)

    def _path(self, plural: str, namespace: str, name: str) -> str:
        return f"{self._root}/namespaces/{namespace}/{plural}/{name}"
