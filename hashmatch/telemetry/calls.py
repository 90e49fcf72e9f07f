"""The id of the call being served, for whatever happens below it."""

from __future__ import annotations

from contextvars import ContextVar

_call_id: ContextVar[str] = ContextVar("hashmatch_call_id", default="")


def call_id() -> str:
    """Return the id of the call being served, empty outside of calls; threads started by ``to_thread`` know it."""
    return _call_id.get()


def serve_call(call: str) -> None:
    """Serve what is left of the current task under this id."""
    _call_id.set(call)
