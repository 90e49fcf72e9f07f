"""What the supervisor tells a process that it starts: one line of JSON over the control socket."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Final

MAX_LINE_BYTES: Final = 16 << 20
"""A configuration with a thousand sources has a few hundred kilobytes."""


@dataclass(frozen=True, slots=True)
class Commission:
    """What a process is started for. ``text`` is the configuration's; ``listen`` overrides it."""

    text: str
    listen: str
    data_dir: str
    seat: int
    seats: int
    reloaded: bool
    log_level: str
    log_format: str

    def encode(self) -> bytes:
        """Return one line."""
        return json.dumps(dataclasses.asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Commission:
        """Return what :meth:`encode` was given."""
        return cls(**json.loads(line))
