"""Log lines as JSON: one object per line, with what is known of the call.

Theory of operation
-------------------
A record becomes ``time`` (UTC, with zone), ``level``, ``logger``, ``process``, ``message``; inside a call ``call`` as
well, its id, which was logged with the record or is that of the current task; and whatever of :data:`FIELDS` was logged
with it. Of an exception there is its class and where it was raised: its text may hold what a caller sent.

What this module deliberately does not do: it adds nothing of a request, and keeps nothing.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from hashmatch.raised import raised_at
from hashmatch.telemetry.calls import call_id

TEXT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
"""Lines for people."""

FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "method": "full name of the method that was called",
        "status": "gRPC status that the call ended with",
        "reason": "name of the error, as in [errors](errors.md)",
        "ms": "milliseconds that the call took",
        "caller": "name of who called",
    }
)
"""What a record of the end of a call has besides; attributes of the record."""

LINE_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "time": "when, UTC, with zone, to the millisecond",
        "level": "`DEBUG`, `INFO`, `WARNING`, `ERROR`",
        "logger": "part of the program that says it",
        "process": "number of the process that says it",
        "message": "what a line of text says",
        "call": "id of the call during which it was said; the caller of a failed one was told it",
        **FIELDS,
        "error": "class of an exception",
        "where": "where it was raised: files, lines and functions, innermost first",
    }
)
"""Keys of a line; all but the first five only where there is something to say."""


class JsonFormatter(logging.Formatter):
    """Writes records as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
        line: dict[str, object] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        if call := getattr(record, "call", "") or call_id():
            line["call"] = call
        line |= {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            line |= {"error": type(error).__name__, "where": raised_at(error)}
        return json.dumps(line, ensure_ascii=False)


def to_stderr(level: str, form: str, text: str = TEXT) -> None:
    """Log to stderr from now on.

    Parameters
    ----------
    level : str
        Name of the least level that is written.
    form : str
        ``text`` or ``json``.
    text : str
        Format of lines for people.

    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else logging.Formatter(text))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
