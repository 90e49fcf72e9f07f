"""What every test needs: logging as it was found, and a Ctrl-C that reaches the processes that tests start.

The garbage collector rests while tests are collected, and never looks again at what that left behind: it is there to
the end, and looking at it took longer than many of the tests.

Nothing here or below depends on how fast the machine is. Waits end with an event; where they have a limit, it only
turns a hang into a failure. Hypothesis draws the same examples each time and judges no example by how long it took;
``pytest --hypothesis-profile=explore`` draws others.
"""

from __future__ import annotations

import gc
import logging
import signal
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.postgres import database, postgres

__all__ = ["database", "postgres"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as for a background job of a shell; children would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Let the garbage collector see only what tests make."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Put logging back, which commands configure: a handler must not outlive the captured stream that it writes to."""
    level, handlers = logging.root.level, list(logging.root.handlers)
    yield
    logging.root.setLevel(level)
    logging.root.handlers[:] = handlers
