"""Images that kill workers: which bytes are not tried again, for how long. Pure: the clock is passed in.

Theory of operation
-------------------
A worker that dies is the image's fault or the machine's, and how it died says which: a signal of its own making
(SIGSEGV, SIGSYS, ...), an exit or a reply that does not check is the image's; SIGKILL may be the kernel's for want of
memory or an operator's, and an end that nobody saw is likewise anybody's. Each death is weighed (:data:`OWN_FAULT`,
:data:`ANYBODYS`), and bytes that weigh :data:`LIMIT` are in quarantine: two deaths that are surely theirs, or four that
may be, with no answer in between. While there they are refused at once, and cost nobody a worker.

============  =====================  ============  ================================================================
state         event                  next          effect
============  =====================  ============  ================================================================
unknown       death                  suspected     weighed; forgotten ``first_s`` later
suspected     death, below LIMIT     suspected     weighed on top
suspected     answer                 suspected     what was anybody's is struck off
suspected     death, LIMIT reached   quarantined   refused for ``first_s``
quarantined   time passes            on probation  may be tried again: decoders are updated; remembered as long again
on probation  death, LIMIT reached   quarantined   for twice as long as before, a day at most
on probation  time passes            unknown       forgotten
============  =====================  ============  ================================================================

What is kept of an image is its length and a digest under a key of this process: nobody can look up in memory which
picture it was, or make bytes that collide with another's. Bytes are only digested when something of their length is
kept, so that where nothing ever crashed nothing is paid. Of more than ``most`` the one that killed longest ago is
forgotten.

What this module deliberately does not do: it holds no byte of an image and logs nothing. It does not stop an attacker
who changes a byte each time; that costs two workers an image, which come back in milliseconds, and quotas bound it.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import signal
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Final, NamedTuple

from hashmatch.model import Picture, Refusal

OWN_FAULT: Final = 2
ANYBODYS: Final = 1
LIMIT: Final = 4
LONGEST_S: Final = 86_400.0

_DIGEST_BYTES: Final = 16
_KEY_BYTES: Final = 32


class _Bytes(NamedTuple):
    """What is known of an image: enough to know it again."""

    length: int
    digest: bytes


@dataclass(slots=True)
class _Record:
    sure: int = 0
    """Weight of the deaths that were surely the image's."""
    doubtful: int = 0
    """Weight of the deaths that were anybody's, since it was last answered."""
    term_s: float = 0.0
    """How long it was last put away; 0 where it never was."""
    until: float = 0.0
    """End of the quarantine, or of being suspected."""
    forgotten: float = 0.0

    @property
    def weight(self) -> int:
        return self.sure + self.doubtful


def weight_of(signal_number: int | None) -> int:
    """Weigh a death by the signal that ended the worker: 0 where it exited, None where nobody knows."""
    return ANYBODYS if signal_number in {None, signal.SIGKILL} else OWN_FAULT


class Quarantine:
    """The bytes that killed, and when they did. Times are in seconds of any clock that does not jump.

    Parameters
    ----------
    most : int
        How many images are remembered, about 250 bytes each; 0 turns the quarantine off.
    first_s : float
        How long the first quarantine of an image lasts, in seconds.

    """

    def __init__(self, most: int, first_s: float) -> None:
        self._most = most
        self._first_s = first_s
        self._key = secrets.token_bytes(_KEY_BYTES)
        self._records: OrderedDict[_Bytes, _Record] = OrderedDict()
        self._lengths: Counter[int] = Counter()
        self.refused = 0
        """Images that were refused for being in quarantine, from the start."""

    def __repr__(self) -> str:
        return f"<Quarantine: {len(self._records)} of {self._most} remembered, {self.refused} refused>"

    def held(self, now: float) -> int:
        """Return how many images are in quarantine now."""
        self._forget(now)
        return sum(record.weight >= LIMIT and now < record.until for record in self._records.values())

    def refusal(self, image: bytes, now: float) -> Picture | None:
        """Return the answer for bytes that are in quarantine, and count it; None where they may be tried."""
        if len(image) not in self._lengths:
            return None
        record = self._records.get(self._bytes(image))
        if record is None or record.weight < LIMIT or now >= record.until:
            return None
        self.refused += 1
        left_s = math.ceil(record.until - now)
        detail = f"workers died on this image, and it is not tried again for {left_s} s"
        return Picture(refusal=Refusal.CRASHED, detail=detail)

    def died(self, image: bytes, weight: int, now: float) -> None:
        """Note that a worker died on these bytes."""
        self._forget(now)
        if not self._most:
            return
        known = self._bytes(image)
        record = self._records.pop(known, None)
        if record is None:
            record = _Record()
            self._lengths[known.length] += 1
        self._records[known] = record
        if record.weight >= LIMIT and now >= record.until:
            record.sure = record.doubtful = 0  # on probation: judged anew, and longer
        if record.weight >= LIMIT:
            return
        record.sure += weight if weight == OWN_FAULT else 0
        record.doubtful += weight if weight == ANYBODYS else 0
        if record.weight >= LIMIT:
            record.term_s = min(2 * record.term_s, LONGEST_S) if record.term_s else self._first_s
            record.until = now + record.term_s
            record.forgotten = record.until + record.term_s
        else:
            record.forgotten = max(record.forgotten, now + self._first_s)
        while len(self._records) > self._most:
            self._drop(next(iter(self._records)))

    def survived(self, image: bytes) -> None:
        """Note that a worker answered these bytes: deaths that may have been anybody's were not theirs."""
        if len(image) in self._lengths and (record := self._records.get(self._bytes(image))) is not None:
            record.doubtful = 0

    def _bytes(self, image: bytes) -> _Bytes:
        return _Bytes(len(image), hashlib.blake2b(image, key=self._key, digest_size=_DIGEST_BYTES).digest())

    def _forget(self, now: float) -> None:
        for known in [known for known, record in self._records.items() if now >= record.forgotten]:
            self._drop(known)

    def _drop(self, known: _Bytes) -> None:
        del self._records[known]
        self._lengths[known.length] -= 1
        if not self._lengths[known.length]:
            del self._lengths[known.length]
