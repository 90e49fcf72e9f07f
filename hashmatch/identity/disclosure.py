"""What a caller gets to see who is to get a verdict and no more.

Theory of operation
-------------------
Distances are what a prober climbs along: change the picture, look whether the distance grew, go on until it is no match
any more. Entry ids, chances, rules and the number of hits say much the same in other words, and hits of shadow and
allow sets say what else lies near. So a reduced report keeps the verdict, the harm domain and the set of each hit that
led to it, one line per set, and nothing about how near it was; ``reduced`` says that this was done, since an absent
distance reads as 0. What remains is the verdict itself: against that only a quota helps.

The receipt still rests on the whole report, but sealed (``cases.receipt``): it can be brought back and not be read.

What this module deliberately does not do: it does not decide who is to see what; the role ``detail`` does.
"""

from __future__ import annotations

from dataclasses import replace

from hashmatch.model import EntryRef, EntryStatus, Hit, MatchReport, Verdict
from hashmatch.model.cases import Case, CaseMatch

_WEIGHT = {Verdict.MATCH: 0, Verdict.POSSIBLE_MATCH: 1}


def reduced(report: MatchReport, sealed_receipt: bytes = b"") -> MatchReport:
    """Return a report without anything that says what was met, or how near it was."""
    hits: dict[str, Hit] = {}
    for hit in sorted((hit for hit in report.hits if hit.verdict in _WEIGHT), key=lambda hit: _WEIGHT[hit.verdict]):
        hits.setdefault(hit.entry.set_name, _reduced_hit(hit))
    return replace(
        report,
        rule=report.rule if report.verdict is Verdict.NOT_CHECKED else "",
        hits=tuple(hits.values()),
        truncated=False,
        elapsed_us={},
        hashes=(),
        receipt=sealed_receipt,
        reduced=True,
    )


def _reduced_hit(hit: Hit) -> Hit:
    met = hit.entry
    entry = EntryRef(met.set_id, met.set_name, met.set_version, met.domain, met.mode, "", EntryStatus.ACTIVE, ())
    return Hit(hit.verdict, "", entry, "", "", 0, 0, "")


def reduced_case(case: Case) -> Case:
    """Return a case likewise."""
    matches: dict[str, CaseMatch] = {}
    for match in sorted(case.matches, key=lambda match: _WEIGHT.get(match.verdict, 2)):
        bare = CaseMatch(
            match.list_name, match.list_id, match.list_version, "", match.domain, "", 0, 0, "", match.verdict
        )
        matches.setdefault(match.list_name, bare)
    return replace(case, matches=tuple(matches.values()), hashes=())
