"""The memory that carries a picture to a worker.

Theory of operation
-------------------
An anonymous file (memfd) of the largest allowed size is mapped writable here and handed to one worker. Seals then fix
its size and forbid every *further* writable mapping, so the worker can only read. Pages exist from the first time they
are touched. The mapping is left out of core dumps and, where RLIMIT_MEMLOCK allows, kept out of swap; it is
overwritten after each picture.

memfd_secret would hide the pages from the kernel's own mapping too, but it counts every byte against RLIMIT_MEMLOCK
(8 MiB by default) and cannot be sealed; docs/adr/0003-sandbox.md.

What this module deliberately does not do: it does not clear what a worker copied; workers are replaced for that.

Source
------
memfd_create(2), fcntl(2) F_ADD_SEALS, madvise(2) MADV_DONTDUMP, mlock2(2).
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os

from hashmatch.sandbox import libc

_F_SEAL_FUTURE_WRITE = 0x0010  # Linux 5.1; not among fcntl's constants before Python 3.13
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | _F_SEAL_FUTURE_WRITE
_ZEROS = bytes(1 << 20)


class PictureMemory:
    """One sealed region; ``descriptor`` is for the worker and is closed once it was passed on."""

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self.descriptor = os.memfd_create("hashmatch-picture", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self.descriptor, capacity_bytes)
            self._mapping = mmap.mmap(self.descriptor, capacity_bytes, mmap.MAP_SHARED)
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, _SEALS)
            self._mapping.madvise(mmap.MADV_DONTDUMP)
        except OSError:
            os.close(self.descriptor)
            raise
        self.locked = self._lock()

    def put(self, image: bytes) -> None:
        """Place a picture at the start; it must fit."""
        self._mapping[: len(image)] = image

    def wipe(self, length_bytes: int) -> None:
        """Overwrite the first ``length_bytes`` with zeros."""
        for start in range(0, length_bytes, len(_ZEROS)):
            size = min(len(_ZEROS), length_bytes - start)
            self._mapping[start : start + size] = _ZEROS if size == len(_ZEROS) else _ZEROS[:size]

    def close_descriptor(self) -> None:
        """Close the descriptor that the worker got its own copy of; harmless when done before."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def close(self) -> None:
        """Unmap; the pages are freed when the worker's mapping is gone too."""
        self.close_descriptor()
        self._mapping.close()

    def _lock(self) -> bool:
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._mapping))
        try:
            libc.lock_when_touched(address, self.capacity_bytes)
        except OSError:
            return False
        return True
