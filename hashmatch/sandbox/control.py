"""What the pool and the zygote say to each other: one small frame per message, on a control socket of its own.

Theory of operation
-------------------
The pool sends SETTINGS once and SPAWN as often as it needs a worker. The zygote answers READY or FAILED to the first,
SPAWNED or FAILED to each of the others, in order, and says EXITED, unasked, whenever a worker has ended. Descriptors
ride beside SPAWN (the worker's socket and its shared memory) and SPAWNED (a pidfd); they are the caller's business.

No picture and no worker ever comes near this socket; the zygote is our own code that has seen no stranger's byte.
Frames are checked all the same, because a check is cheaper than the argument that none is needed.

What this module deliberately does not do: no I/O.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import struct
from dataclasses import dataclass
from typing import Any

from hashmatch.config import DecodeConfig
from hashmatch.errors import BadFrame

_MAGIC = b"HMct"
_VERSION = 1
_HEAD = struct.Struct("<4sHHqq")

MAX_TEXT_BYTES = 16_384
"""Room for the decode settings and the names of 64 algorithms; reasons are cut to fit."""
MAX_FRAME_BYTES = _HEAD.size + MAX_TEXT_BYTES


class Kind(enum.IntEnum):
    """Kinds of frames."""

    SETTINGS = 1
    SPAWN = 2
    READY = 3
    FAILED = 4
    SPAWNED = 5
    EXITED = 6


@dataclass(frozen=True, slots=True)
class Frame:
    """One message. ``pid`` and ``status`` (a wait status) are used by SPAWNED and EXITED, ``text`` by the others."""

    kind: Kind
    text: str = ""
    pid: int = 0
    status: int = 0

    def encode(self) -> bytes:
        """Bytes of the frame; a text that is too long is cut."""
        text = self.text.encode("utf-8", "replace")[:MAX_TEXT_BYTES]
        return _HEAD.pack(_MAGIC, _VERSION, self.kind, self.pid, self.status) + text

    @classmethod
    def decode(cls, untrusted_data: bytes) -> Frame:
        """Read a frame.

        Raises
        ------
        BadFrame
            It is too short or too long, or not of a known kind.

        """
        if not _HEAD.size <= len(untrusted_data) <= MAX_FRAME_BYTES:
            raise BadFrame(f"control frame of {len(untrusted_data)} bytes")
        magic, version, kind, pid, status = _HEAD.unpack_from(untrusted_data)
        if magic != _MAGIC or version != _VERSION or kind not in set(Kind):
            raise BadFrame(f"control frame begins {magic!r} version {version} kind {kind}")
        return cls(Kind(kind), untrusted_data[_HEAD.size :].decode("utf-8", "replace"), pid, status)


@dataclass(frozen=True, slots=True)
class ZygoteSettings:
    """What the zygote must know of the configuration, which only ``config`` reads."""

    decode: DecodeConfig
    memory_bytes: int
    nice: int = 0

    def to_text(self) -> str:
        """JSON for a SETTINGS frame."""
        tree = {"decode": dataclasses.asdict(self.decode), "memory_bytes": self.memory_bytes, "nice": self.nice}
        return json.dumps(tree)

    @classmethod
    def from_text(cls, text: str) -> ZygoteSettings:
        """Read the text of a SETTINGS frame.

        Raises
        ------
        BadFrame
            The text is not what :meth:`to_text` writes.

        """
        try:
            tree: dict[str, Any] = json.loads(text)
            return cls(DecodeConfig(**tree["decode"]), int(tree["memory_bytes"]), int(tree["nice"]))
        except (ValueError, TypeError, KeyError) as error:
            raise BadFrame(f"settings are not readable: {error!r}") from error
