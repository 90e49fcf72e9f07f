"""The words hashmatch speaks: frozen value types, no I/O, no numpy.

Theory of operation
-------------------
Bytes become a :class:`Picture` (in the sandbox), its hashes become :class:`Query` objects, the index answers with
:class:`Found`, the policy turns those into :class:`Hit` and a :class:`Verdict`, and all of it together is the
:class:`MatchReport`. Hash sets are made of :class:`Entry`; one entry is one known picture and may carry several hashes.

Hash values are ``bytes`` everywhere inside and lower-case hex at every edge: ``bytes.fromhex(text)`` for all
algorithms. For PDQ the text has bit 255 first (pdq reference, ``Hash256::format``); for the imagehash family it is what
``str(imagehash.ImageHash)`` prints. Distances are inclusive integers: ``distance <= max_distance`` is a hit.

What this package deliberately does not do: it knows no file format, no policy and no limit.
"""

from __future__ import annotations

from hashmatch.model.answers import (
    MATCHED,
    EntryRef,
    Found,
    Hit,
    MatchReport,
    Query,
    RescanAnswer,
    SearchResult,
    Verdict,
)
from hashmatch.model.blocks import UNSTATED_QUALITY, EntryBlock, Row
from hashmatch.model.entries import (
    REJECTIONS_KEPT,
    Change,
    Entry,
    EntryHash,
    EntryStatus,
    Event,
    HarmDomain,
    HashSet,
    ImportResult,
    Label,
    Opinion,
    Provenance,
    Rejected,
    SetChanges,
    SetMode,
    Stance,
)
from hashmatch.model.pictures import (
    MAX_QUALITY,
    Algorithm,
    AlgorithmKind,
    ComputedHash,
    Digests,
    Enrolment,
    Fidelity,
    HashOptions,
    MediaInfo,
    Picture,
    Refusal,
    Views,
)

__all__ = [
    "MATCHED",
    "MAX_QUALITY",
    "REJECTIONS_KEPT",
    "UNSTATED_QUALITY",
    "Algorithm",
    "AlgorithmKind",
    "Change",
    "ComputedHash",
    "Digests",
    "Enrolment",
    "Entry",
    "EntryBlock",
    "EntryHash",
    "EntryRef",
    "EntryStatus",
    "Event",
    "Fidelity",
    "Found",
    "HarmDomain",
    "HashOptions",
    "HashSet",
    "Hit",
    "ImportResult",
    "Label",
    "MatchReport",
    "MediaInfo",
    "Opinion",
    "Picture",
    "Provenance",
    "Query",
    "Refusal",
    "Rejected",
    "RescanAnswer",
    "Row",
    "SearchResult",
    "SetChanges",
    "SetMode",
    "Stance",
    "Verdict",
    "Views",
]
