"""Which calls were refused, so that it can be asked who tried: bounded, however many there are; no I/O.

Theory of operation
-------------------
Refusals of one kind, by the same caller, of the same method, for the same reason, are one thing that is tried again.
The first of a kind is told at once, so that an attempt is on record whatever the process does next; those that follow
before the window ends are counted, and told together at its end. So a kind has two records in a window at most.

Methods, reasons and peers are words of closed lists, and callers are those of the keys file. Still there may be many
callers, so a caller has :data:`MAX_PER_CALLER` kinds in a window and all together :data:`MAX_KINDS`; what comes on top
is counted under :data:`ANY`. A caller, or everybody who is nobody, fills only what is its own: whoever wants to try
something unseen gains nothing by trying many other things first.

What this module deliberately does not do: it reads no clock, and it knows no key, certificate or address.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass, replace
from typing import Final

from hashmatch.audit.wording import Body
from hashmatch.ledger.composing import Occurrences

WINDOW_S: Final = 60.0
"""How long what is tried again is counted before it is told: as late as a signed head may be by default."""
MAX_PER_CALLER: Final = 100
"""Kinds of one caller in a window. There are some 40 methods, and who is known lacks roles for most at worst."""
MAX_KINDS: Final = 2_000
"""Kinds in a window: twenty callers that try everything, about 1 MB of log a minute at worst."""
ANY: Final = "*"
"""Stands for every caller or method beyond these numbers; no caller or method has that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A kind of refusal.

    ``caller`` is who was known to call, or whose key it was that opens nothing any more; ``lack`` says why it is not
    known who calls; ``peer`` is where the call came from: ``unix``, ``loopback`` or ``remote``.
    """

    caller: str
    method: str
    reason: str
    lack: str = ""
    peer: str = ""

    def words(self) -> Body:
        """Return it as it stands in a body."""
        given = {"lack": self.lack, "peer": self.peer}
        said: Body = {"caller": self.caller, "method": self.method, "error": self.reason}
        return said | {name: word for name, word in given.items() if word}


class Refusals:
    """The refusals of one window. Used on one event loop."""

    def __init__(self) -> None:
        self._kinds: dict[Refused, Occurrences] = {}
        self._of: collections.Counter[str] = collections.Counter()

    def __repr__(self) -> str:
        return f"<Refusals: {len(self._kinds)} kinds, {sum(kind.count for kind in self._kinds.values())} to be told>"

    def note(self, refused: Refused, ns: int) -> Body | None:
        """Count a refusal, and return what is to be recorded of it at once: nothing, where it is tried again."""
        kind = self._bounded(refused)
        again = self._kinds.get(kind)
        if again is not None:
            again.append(ns)
            return None
        self._kinds[kind] = Occurrences()
        self._of[kind.caller] += 1
        return {**kind.words(), "count": 1}

    def told(self) -> list[Body]:
        """End the window, and return what is to be recorded of all that was tried again in it."""
        bodies: list[Body] = [{**kind.words(), **again.words()} for kind, again in self._kinds.items() if again.count]
        self._kinds.clear()
        self._of.clear()
        return bodies

    def _bounded(self, refused: Refused) -> Refused:
        """Return the kind under which a refusal is counted."""
        if refused in self._kinds:
            return refused
        if self._of[refused.caller] >= MAX_PER_CALLER:
            refused = replace(refused, method=ANY, lack="", peer="")
        if refused not in self._kinds and len(self._kinds) >= MAX_KINDS:
            return replace(refused, caller=ANY, method=ANY, lack="", peer="")
        return refused
