"""The flood guard: which entry suddenly matches far more than it used to. Pure: the clock is passed in.

Theory of operation
-------------------
One bad entry, a blank page or a picture that everybody shares, can match more in an hour than its list did in a year.
So matches are counted per entry in windows of fixed length. An entry has a *level*, its mean matches per window over
the windows before, of which the newer count more; it may match ``factor`` times that in one window, and ``min_matches``
in any case. What goes beyond is a :class:`Flood`, told once:

========  ======  ========  =============================================================================
state     event   next      effect
========  ======  ========  =============================================================================
CALM      match   CALM      counted; within the limit
CALM      match   FLOODED   beyond the limit: told, and the level becomes what was counted
FLOODED   match   FLOODED   counted, so that a larger flood than this one is seen in the next window
FLOODED   window  CALM      a new window; the limit follows from the level of the flood
CALM      window  CALM      the level moves towards what the window counted
========  ======  ========  =============================================================================

Since the level is then that of the flood, an entry that somebody looked at and reinstated is left alone unless it
matches ``factor`` times as much again.

Memory is bounded: of more than ``max_entries`` the one that matched longest ago is forgotten, and a flood is what
matches all the time. A forgotten entry has the limit of a new one, ``min_matches``; never less. Likewise only levels
that raise a limit above that are worth keeping over a restart (:meth:`Flooding.history`).

What this module deliberately does not do: it knows no catalog and changes nothing. It cannot tell a bad entry from a
known picture that goes around; a person can (docs/explain/flood.md).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from hashmatch.config import FloodConfig
from hashmatch.model import Hit, Verdict

COUNTED_RULES: Final = frozenset({"entry_allowed"})
"""Of hits that decide nothing, those that are counted all the same: a flood of what is allowed hides what is not."""


class Key(NamedTuple):
    """An entry: names of its set and in its set."""

    set_name: str
    entry_id: str


@dataclass(frozen=True, slots=True)
class Flood:
    """An entry that matched beyond its limit: ``matches`` in one window, ``level`` per window before."""

    key: Key
    matches: int
    level: float
    limit: float
    window_s: int

    @property
    def reason(self) -> str:
        """What is kept with the decision, with its numbers."""
        return (
            f"{self.matches} matches within {self.window_s} s; {self.level:.1f} in such a time before, "
            f"the limit is {self.limit:.0f}"
        )


@dataclass(slots=True)
class _Entry:
    """What is remembered of one entry; ``window`` is the one that ``count`` is of."""

    window: int
    count: int = 0
    level: float = 0.0
    flooded: bool = False

    @property
    def reached(self) -> float:
        """The level; while it floods, at least what was counted."""
        return max(self.level, float(self.count)) if self.flooded else self.level


def counts(hit: Hit) -> bool:
    """Whether a hit is counted: it decides, or takes weight from what does."""
    return hit.verdict is not Verdict.NO_MATCH or hit.rule in COUNTED_RULES


class Flooding:
    """Counts of one process. One thread at a time."""

    def __init__(self, config: FloodConfig, history: Mapping[Key, float] | None = None, *, now_s: float = 0.0) -> None:
        self._config = config
        window = self._window(now_s)
        self._entries: OrderedDict[Key, _Entry] = OrderedDict(
            (key, _Entry(window, level=level)) for key, level in (history or {}).items()
        )

    def __repr__(self) -> str:
        return f"<Flooding: {len(self._entries)} entries>"

    def observe(self, hits: Iterable[Hit], now_s: float) -> list[Flood]:
        """Count the hits of one report; return the entries that went beyond their limit with it."""
        floods = []
        for hit in hits:
            if counts(hit):
                flood = self._count(Key(hit.entry.set_name, hit.entry.entry_id), self._window(now_s))
                if flood is not None:
                    floods.append(flood)
        return floods

    def history(self, now_s: float) -> dict[Key, float]:
        """Return the levels that raise a limit, to be given to the next process."""
        window = self._window(now_s)
        for entry in self._entries.values():
            self._turn(entry, window)
        least = self._config.min_matches / self._config.factor
        levels = {key: entry.reached for key, entry in self._entries.items()}
        return {key: level for key, level in levels.items() if level > least}

    def _window(self, now_s: float) -> int:
        return int(now_s // self._config.window_s)

    def _count(self, key: Key, window: int) -> Flood | None:
        entry = self._entries.get(key)
        if entry is None:
            if len(self._entries) >= self._config.max_entries:
                self._entries.popitem(last=False)
            entry = self._entries[key] = _Entry(window)
        self._entries.move_to_end(key)
        self._turn(entry, window)
        entry.count += 1
        limit = max(float(self._config.min_matches), self._config.factor * entry.level)
        if entry.flooded or entry.count <= limit:
            return None
        flood = Flood(key, entry.count, entry.level, limit, self._config.window_s)
        entry.flooded, entry.level = True, float(entry.count)
        return flood

    def _turn(self, entry: _Entry, window: int) -> None:
        """Close the windows before this one; a clock that went back closes none."""
        passed = window - entry.window
        if passed <= 0:
            return
        keep = 1 - 1 / self._config.history_windows
        if entry.flooded:
            entry.level = entry.reached
        else:
            entry.level = entry.level * keep + entry.count * (1 - keep)
        entry.level *= keep ** (passed - 1)
        entry.window, entry.count, entry.flooded = window, 0, False
