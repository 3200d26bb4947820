"""Wiring: settings → Kubernetes and PostgreSQL → queue and workers → watches."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import threading
import time

import kopf
from pydantic import ValidationError
from pydantic_settings import SettingsError

from pggit_operator import logs
from pggit_operator.api import GROUP, KINDS, VERSION
from pggit_operator.errors import PgGitError
from pggit_operator.handlers.health import Health
from pggit_operator.handlers.queue import Pace, Queue
from pggit_operator.handlers.watch import register
from pggit_operator.handlers.workers import Workers
from pggit_operator.kube.client import Api
from pggit_operator.kube.events import Events
from pggit_operator.kube.objects import Objects
from pggit_operator.kube.secrets import Secrets
from pggit_operator.kube.seen import Seen
from pggit_operator.pggit.pools import Pools
from pggit_operator.pggit.schema import bundled_version
from pggit_operator.reconcile.ways_out import told
from pggit_operator.reconcile.world import World
from pggit_operator.settings import Settings

log = logging.getLogger("pggit")

AS_WRITTEN = argparse.RawDescriptionHelpFormatter
ABOUT = """The Kubernetes operator of pgGit. It runs in the pod that the Helm chart makes, or outside with KUBECONFIG.

It is told by environment variables, all of which have defaults:
{}
Exit codes: 0 told to stop, 1 it can't work (the last line says why), 2 a wrong argument or variable."""


def main(arguments: list[str] | None = None) -> None:
    """Run until told to stop. Whatever hangs then, the process ends within the deadline."""
    parser = argparse.ArgumentParser(
        prog="pggit-operator", description=ABOUT.format(_variables()), formatter_class=AS_WRITTEN
    )
    parser.add_argument("--version", action="version", version=f"pggit-operator with core {bundled_version()}")
    parser.parse_args(arguments)
    settings = _settings(parser)
    logs.configure(settings.log_level, settings.log_format)
    stop, ready = threading.Event(), threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    threading.Thread(target=_deadline, args=[stop, settings.shutdown_deadline], daemon=True).start()
    code = 1
    try:
        code = _run(settings, stop, ready)
    except PgGitError as error:
        log.error("%s", told(error))  # noqa: TRY400 (it says all that there is to know)
    except Exception:
        log.exception("the operator failed")
    finally:
        stop.set()
        logging.shutdown()
        os._exit(code)


def _settings(parser: argparse.ArgumentParser) -> Settings:
    """What the environment says; what it says wrong ends the program with code 2, without the values."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = [f"PGGIT_{'_'.join(map(str, one['loc'])).upper()}: {one['msg']}" for one in error.errors()]
    except SettingsError as error:
        wrong = [f"{error}: lists are written as JSON"]
    return parser.exit(2, "".join(f"pggit-operator: {one}\n" for one in wrong))


def _variables() -> str:
    fields = Settings.model_fields.items()
    return "".join(
        f"  PGGIT_{name.upper()}={field.get_default(call_default_factory=True)!r}\n" for name, field in fields
    )


def _run(settings: Settings, stop: threading.Event, ready: threading.Event) -> int:
    api = Api()
    objects, seen = Objects(api, GROUP, VERSION), Seen()
    world = World(settings, objects, Secrets(api), Events(api), seen, Pools(settings))
    pace = Pace(settings.workers_per_instance, settings.resync, settings.backoff_first, settings.backoff_max)
    queue = Queue(pace, world.group_of)
    workers = Workers(world, queue)
    started = threading.Event()
    health = Health(
        settings.health_host,
        settings.health_port,
        healthy=lambda: None if workers.alive or not started.is_set() else "a worker has ended",
        ready=lambda: None if ready.is_set() and not stop.is_set() else "not watching",
    )
    log.info("pggit operator with core %s; health on port %s", bundled_version(), health.port)
    if not _served(objects, settings, stop):
        return 0 if stop.is_set() else 1
    workers.start()
    started.set()
    registry = kopf.get_default_registry()
    register(registry, world, queue)
    failed: list[BaseException] = []
    watching = threading.Thread(target=_watching, args=[settings, registry, stop, ready, failed], name="kopf")
    watching.start()
    while watching.is_alive() and not stop.wait(0.5):
        pass
    ready.clear()
    stop.set()
    queue.close()
    watching.join(settings.shutdown_deadline / 3)
    workers.join(settings.shutdown_deadline / 3)
    world.pools.close()
    log.info("the operator has stopped")
    return 1 if failed else 0


def _watching(
    settings: Settings,
    registry: kopf.OperatorRegistry,
    stop: threading.Event,
    ready: threading.Event,
    failed: list[BaseException],
) -> None:
    """kopf in a thread of its own: the main thread stays free for signals."""
    try:
        asyncio.run(_watch(settings, registry, stop, ready))
    except BaseException as error:
        log.exception("watching failed")
        failed.append(error)
    finally:
        stop.set()


async def _watch(
    settings: Settings, registry: kopf.OperatorRegistry, stop: threading.Event, ready: threading.Event
) -> None:
    """kopf lists and watches; it writes nothing to any object and posts no events."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.scanning.disabled = True
    chosen.execution.max_workers = 4
    chosen.watching.server_timeout = 300
    chosen.watching.client_timeout = 330
    chosen.watching.connect_timeout = 10
    await kopf.operator(
        registry=registry,
        settings=chosen,
        standalone=True,
        clusterwide=not settings.watch_namespaces,
        namespaces=settings.watch_namespaces,
        stop_flag=stop,
        ready_flag=ready,
    )


def _served(objects: Objects, settings: Settings, stop: threading.Event) -> bool:
    """Wait for the CRDs: they may be applied at the same moment as we are."""
    until = time.monotonic() + settings.crd_deadline
    namespace = next(iter(settings.watch_namespaces), None)
    while not stop.is_set():
        try:
            missing = [kind.plural for kind in KINDS if not objects.is_served(kind.plural, namespace)]
            if not missing:
                return True
            problem = f"the API server does not serve {', '.join(missing)} of {GROUP}: install the CRDs of the chart"
        except PgGitError as error:
            problem = str(error)
        if time.monotonic() > until:
            log.error("%s", problem)
            return False
        stop.wait(1)
    return False


def _deadline(stop: threading.Event, seconds: float) -> None:
    stop.wait()
    time.sleep(seconds)
    os._exit(1)


if __name__ == "__main__":
    main()
