"""Where an exception was raised, for a log that must not repeat what a stranger sent.

What this module deliberately does not do: it gives no text of an exception, no value and no line of source, since each
of them may quote what was being looked at.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Final

INNERMOST: Final = 3
"""Frames that are named."""

_ROOT: Final = Path(__file__).resolve().parent.parent


def raised_at(error: BaseException) -> str:
    """Return file, line and function of the innermost frames, the innermost first; empty of one that was never raised.

    Files of hashmatch are named from the folder that it is installed in; of others only the last part.
    """
    frames = traceback.extract_tb(error.__traceback__, limit=-INNERMOST)
    return " < ".join(f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in reversed(frames))


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(_ROOT)) if path.is_relative_to(_ROOT) else path.name
