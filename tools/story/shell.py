"""kubectl and psql as a person would type them: calls are shown with their output, failures say what the tool said."""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]


class Failed(Exception):
    """A command said no, or something is not as it must be."""


class Show:
    """Where the story is told. The default tells nothing."""

    def step(self, title: str) -> None:
        """A new part of the story begins."""

    def say(self, text: str) -> None:
        """A sentence between commands."""

    def command(self, text: str) -> None:
        """What is typed."""

    def output(self, text: str) -> None:
        """What came back."""


def run(command: Sequence[str], *, stdin: str | None = None, env: Mapping[str, str] | None = None) -> str:
    """Standard output of a command; raises Failed with its standard error."""
    surroundings = {**os.environ, **env} if env else None
    done = subprocess.run(
        command, input=stdin, env=surroundings, capture_output=True, text=True, encoding="utf-8", check=False
    )
    if done.returncode != 0:
        raise Failed(f"{' '.join(command[:3])} …: {(done.stderr or done.stdout).strip()}")
    return done.stdout


@dataclass(frozen=True)
class Kubectl:
    """kubectl in one namespace. `command` is how it is reached, e.g. `["kubectl", "--kubeconfig", …]`."""

    command: Sequence[str]
    namespace: str
    show: Show = field(default_factory=Show)

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """Run it and show it."""
        self.show.command(shlex.join(["kubectl", *arguments]))
        said = self.quietly(*arguments, stdin=stdin)
        self.show.output(said)
        return said

    def quietly(self, *arguments: str, stdin: str | None = None) -> str:
        """Run it without showing it."""
        return run([*self.command, "--namespace", self.namespace, *arguments], stdin=stdin)

    def get(self, kind: str, name: str) -> Row:
        """The object as it is now."""
        found: Row = json.loads(self.quietly("get", kind, name, "--output=json"))
        return found

    def secret(self, name: str) -> dict[str, str]:
        """The decoded keys of a Secret."""
        data = self.get("secret", name).get("data", {})
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def wait_ready(self, what: str, *, seconds: int = 60) -> Row:
        """Until the Ready condition is true; the object then."""
        return self._wait(what, "condition=Ready", seconds)

    def wait_for(self, what: str, reason: str, *, seconds: int = 60) -> Row:
        """Until the Ready condition has this reason; the object then."""
        path = f'jsonpath={{.status.conditions[?(@.type=="Ready")].reason}}={reason}'
        return self._wait(what, path, seconds)

    def _wait(self, what: str, condition: str, seconds: int) -> Row:
        kind, name = what.split("/")
        self.show.command(shlex.join(["kubectl", "wait", f"--for={condition}", what]))
        try:
            self.show.output(self.quietly("wait", f"--for={condition}", what, f"--timeout={seconds}s"))
        except Failed as failed:
            status = self.get(kind, name).get("status", {})
            raise Failed(
                f"{what} did not come to {condition}: {json.dumps(status, indent=1, ensure_ascii=False)}"
            ) from failed
        return self.get(kind, name)


@dataclass(frozen=True)
class Psql:
    """psql as one role. `command` is how it is reached, e.g. `["psql"]` or `["kubectl", "exec", …, "psql"]`."""

    command: Sequence[str]
    who: str
    show: Show = field(default_factory=Show)
    env: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, sql: str) -> str:
        """Run it and show it, the way psql prints."""
        self.show.command(f"psql {self.who}")
        self.show.output(sql.strip() + "\n")
        said = run([*self.command, "-X", "-v", "ON_ERROR_STOP=1", "-f", "-"], stdin=sql, env=self.env)
        self.show.output(said)
        return said

    def quietly(self, sql: str) -> str:
        """Run a script (COPY data may follow inline) without showing it; unaligned rows without a heading."""
        return run([*self.command, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"], stdin=sql, env=self.env)

    def rows(self, query: str) -> list[Row]:
        """The rows of a query; numbers with a point stay text, so that no digit is lost."""
        wrapped = f"SELECT to_jsonb(q) FROM ({query}) AS q"
        return [json.loads(line, parse_float=str) for line in self.quietly(wrapped).splitlines() if line]

    def one(self, query: str) -> Row:
        """The only row of a query."""
        found = self.rows(query)
        if len(found) != 1:
            raise Failed(f"expected one row, got {len(found)}: {query}")
        return found[0]


Open = Callable[[Mapping[str, str], str], Psql]
"""psql with nothing but the keys of a connection Secret, and what to call it."""

LIBPQ = {
    "host": "PGHOST",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "sslmode": "PGSSLMODE",
}


def libpq_environment(secret: Mapping[str, str]) -> dict[str, str]:
    """The keys of a connection Secret as the environment that psql reads."""
    return {variable: secret[key] for key, variable in LIBPQ.items() if secret.get(key)}
