"""One line per event, as JSON or as text. Secrets never get here: no call logs arguments."""

from __future__ import annotations

import logging

import structlog


def configure(level: str, form: str) -> None:
    """Send everything, kopf's lines too, to standard error."""
    stamps: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: structlog.typing.Processor = structlog.dev.ConsoleRenderer(colors=False)
    if form == "json":
        last = structlog.processors.JSONRenderer(ensure_ascii=False)
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=stamps,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("kubernetes", "urllib3", "asyncio", "kopf"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)  # signals are ours, it need not say so
