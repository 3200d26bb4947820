"""How we reach the Kubernetes API, and what its refusals mean here."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import urllib3
from kubernetes import client, config

from pggit_operator.errors import PermissionDenied, PgGitError, Retry, Who

Body = dict[str, Any]

# The stubs of this library are of another version of it.
_client: Any = client
_config: Any = config

_TIMEOUT = urllib3.Timeout(connect=3, read=10)
_RETRIES = urllib3.Retry(total=2, connect=2, read=0, redirect=0, status=0, other=0, backoff_factor=0.2)


class Stale(Exception):
    """The object has changed, or is another one, since we read it."""


class Gone(Exception):
    """The object is not there any more."""


class ApiUnavailable(PgGitError):
    """The Kubernetes API did not do what was asked."""

    who = Who.NOBODY
    retry = Retry.LATER
    stalls = False


def _load_kubeconfig() -> None:
    try:
        _config.load_kube_config()
    except Exception as error:  # noqa: BLE001 (whatever is wrong with the file: it has secrets, so we tell nothing of it)
        raise ApiUnavailable(
            f"this is no pod with a service account, and KUBECONFIG names no usable file ({type(error).__name__})",
            "Set KUBECONFIG to the file of a cluster, or run the operator by its Helm chart.",
        ) from None


class Api:
    """JSON in, JSON out. Login, TLS and proxy are the kubernetes client's; its generated methods are not needed."""

    def __init__(self) -> None:
        """The service account's rights in a pod, else those of KUBECONFIG."""
        try:
            _config.load_incluster_config()
        except _config.ConfigException:
            _load_kubeconfig()
        self._config = _client.Configuration.get_default_copy()
        self._wire: urllib3.PoolManager = _client.ApiClient(self._config).rest_client.pool_manager

    def get(self, what: str, path: str, **query: str) -> Body:
        return self._ask("GET", what, path, query=query)

    def create(self, what: str, path: str, body: Body) -> Body:
        return self._ask("POST", what, path, body)

    def patch(self, what: str, path: str, body: Body) -> Body:
        """A JSON merge patch."""
        return self._ask("PATCH", what, path, body, "application/merge-patch+json")

    def delete(self, what: str, path: str, body: Body) -> Body:
        return self._ask("DELETE", what, path, body)

    def _ask(
        self,
        method: str,
        what: str,
        path: str,
        body: Body | None = None,
        content: str = "application/json",
        query: dict[str, str] | None = None,
    ) -> Body:
        """`what` names the thing for people, never its content."""
        headers = {"Accept": "application/json", "Content-Type": content, "User-Agent": "pggit-operator"}
        headers |= {auth["key"]: auth["value"] for auth in self._config.auth_settings().values() if auth["value"]}
        asked = "?" + "&".join(f"{name}={quote(value)}" for name, value in query.items()) if query else ""
        try:
            answer = self._wire.request(
                method,
                self._config.host + path + asked,
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                timeout=_TIMEOUT,
                retries=_RETRIES,
            )
        except urllib3.exceptions.HTTPError as error:
            raise ApiUnavailable(f"the Kubernetes API did not answer ({type(error).__name__}) to: {what}") from None
        if answer.status < 300:
            said: Body = answer.json()
            return said
        raise _refusal(answer, what)


def _refusal(answer: urllib3.BaseHTTPResponse, what: str) -> Exception:
    if answer.status == 404:
        return Gone(what)
    if answer.status == 409:
        return Stale(what)
    if answer.status == 403:
        return PermissionDenied(
            f"the operator has no right to {what}", "Install the chart's roles, or look at watchNamespaces."
        )
    said = ""
    if answer.status == 422:  # about our own status or Secret; names fields
        said = f" ({str(answer.json().get('message', ''))[:300]})"
    return ApiUnavailable(f"the Kubernetes API answered {answer.status} to: {what}{said}")
