"""Whether a body comes fast enough: a pure decision over windows of time.

Theory of operation
-------------------
Time is cut into windows from when the body begins. A window in which fewer bytes came than its rate asks for ends the
fetch; bytes of one window count for no other, so a burst does not buy a pause. The last window, which the end of the
body cuts short, is not judged.

What this module deliberately does not do: it reads no clock.
"""

from __future__ import annotations


class Pace:
    """Judges one body."""

    def __init__(self, min_bytes_per_s: int, window_s: float, begun_at: float) -> None:
        self._wanted = min_bytes_per_s * window_s
        self._window_s = window_s
        self._bytes = 0
        self.ends_at = begun_at + window_s
        """When the current window ends; :meth:`too_slow` is asked then."""

    def came(self, length: int) -> None:
        """Count bytes."""
        self._bytes += length

    def too_slow(self, now: float) -> bool:
        """Judge the windows that have ended by ``now``, and begin the next."""
        while now >= self.ends_at:
            if self._bytes < self._wanted:
                return True
            self._bytes = 0
            self.ends_at += self._window_s
        return False
