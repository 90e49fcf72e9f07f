"""Loading much code at once.

Theory of operation
-------------------
What an import makes (functions, classes, tables of types) lives as long as the process. The garbage collector goes over
all of it again and again while it grows, which is a sixth of the time that a service takes to import, and later
whenever it looks at everything that is old, which stops calls for 50 ms and more. So it rests while the block runs, and
what is there at the end is put where it never looks again; unless the block found everything loaded.

What this module deliberately does not do: it imports nothing itself.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Run a block of imports; garbage that is in cycles at its end, a thousand small objects, is kept for good."""
    enabled, loaded = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > loaded:
            gc.freeze()
        if enabled:
            gc.enable()
