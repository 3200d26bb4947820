"""What can be set from outside: environment variables `PGGIT_<NAME>`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every knob of the operator, with its default."""

    model_config = SettingsConfigDict(env_prefix="PGGIT_", frozen=True)

    #: Namespaces to serve, as a JSON list. Empty: the whole cluster.
    watch_namespaces: list[str] = []
    #: Who we are in the databases: recorded as the owner of branches, snapshots and merges. Clusters that share
    #: a database need different names; a cluster rebuilt from Git keeps its name and so finds its own again.
    installation: str = Field(default="pggit", min_length=1, max_length=63)

    #: Whether the chart's admission policy vouches for spec.approvedBy; the chart sets it with the policy.
    approvers_verified: bool = False

    #: Address of /healthz and /readyz.
    health_host: str = "0.0.0.0"  # noqa: S104 (the kubelet asks from outside the pod)
    #: Port of /healthz and /readyz; 0 lets the system choose one.
    health_port: int = Field(default=8080, ge=0, le=65535)
    #: Least severe log line that is written.
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    #: One JSON object a line, or text for people.
    log_format: Literal["json", "text"] = "json"

    #: Decisions at the same time, in total.
    workers: int = Field(default=16, ge=1, le=256)
    #: Decisions at the same time against one PostgreSQL server.
    workers_per_instance: int = Field(default=2, ge=1, le=64)
    #: Seconds between two looks at an object that did not change, ±10 %.
    resync: float = Field(default=60.0, gt=0)
    #: Seconds before the first new try after a failure; doubles from there.
    backoff_first: float = Field(default=1.0, gt=0)
    #: Longest wait between two tries, in seconds.
    backoff_max: float = Field(default=300.0, gt=0)

    #: Seconds that PostgreSQL has to accept a connection or answer a ping.
    connect_timeout: int = Field(default=5, ge=1)
    #: Seconds that one ordinary statement may take.
    statement_timeout: float = Field(default=60.0, gt=0)
    #: Seconds that one merge, branch creation or installation of the core may take.
    long_timeout: float = Field(default=1800.0, gt=0)
    #: Seconds that a statement waits for a lock before we try again later.
    lock_timeout: float = Field(default=5.0, gt=0)
    #: How PostgreSQL may ask for the password (libpq's require_auth): the first line of defence against a host
    #: that wants to be told it.
    require_auth: str = "scram-sha-256"
    #: Seconds that a deletion waits for a database that does not answer, before the object is let go.
    deletion_patience: float = Field(default=300.0, ge=0)

    #: Seconds that the CRDs may be missing at the start before the operator gives up.
    crd_deadline: float = Field(default=60.0, ge=0)
    #: Seconds from SIGTERM to the end of the process, whatever hangs.
    shutdown_deadline: float = Field(default=10.0, gt=0)
