"""Wall time of consecutive stages, as reports tell it."""

from __future__ import annotations

import time

_LEAST_S = 1e-3


class Stopwatch:
    """Wall time of consecutive stages, in microseconds."""

    def __init__(self) -> None:
        self._began = self._mark = time.perf_counter_ns()
        self._stage = ""
        self._stages: dict[str, int] = {}

    def left_s(self, deadline_s: float | None) -> float | None:
        """Seconds until a deadline that was so far away at the beginning; None without one, never 0."""
        if deadline_s is None:
            return None
        return max(_LEAST_S, deadline_s - (time.perf_counter_ns() - self._began) / 1e9)

    def start(self, stage: str) -> None:
        """Begin a stage; the one before ends. Beginning a stage again adds to it."""
        now = time.perf_counter_ns()
        if self._stage:
            self._stages[self._stage] = self._stages.get(self._stage, 0) + (now - self._mark) // 1_000
        self._stage, self._mark = stage, now

    def stop(self) -> dict[str, int]:
        """End the last stage; return all of them and ``total``."""
        self.start("")
        return self._stages | {"total": (self._mark - self._began) // 1_000}
